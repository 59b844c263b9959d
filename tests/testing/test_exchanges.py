"""The exchange without a connection."""

import pytest

from scalability.errors import BodyTooLarge
from scalability.testing.exchanges import FakeExchange


def test_it_remembers_what_was_added_and_answered() -> None:
    exchange = FakeExchange("A: 1", method="POST", target="/a", body_bytes=5)
    exchange.added.append((b"Vary", b"Origin"))
    exchange.limit_body(5)
    with pytest.raises(BodyTooLarge):
        exchange.limit_body(4)
    exchange.answer(204, b"")
    assert (exchange.begun, exchange.status, exchange.said("vary"), exchange.said("x")) == (True, 204, ["Origin"], [])
    assert (exchange.head.method, exchange.head.target, exchange.head.get(b"a")) == (b"POST", b"/a", b"1")
