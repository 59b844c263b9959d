"""The fake servers of selections' tests."""

import random

from scalability.testing.candidates import FakeServer, Requests, built
from scalability.upstream.selection import ALGORITHMS


def test_requests_are_counted_at_their_server_and_told_to_the_selection() -> None:
    server = FakeServer("a")
    requests = Requests(built(ALGORITHMS["least_connections"](clock=lambda: 0.0, random=random.random), [server]))
    assert requests.begin() is server
    assert server.active == 1
    requests.end(server)
    assert server.active == 0
    assert requests.begin({server}) is None
