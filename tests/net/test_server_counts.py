"""What a server has done, as numbers."""

from scalability.net.server_counts import ServerCounts


def test_requests_in_flight_are_those_that_have_neither_been_answered_nor_given_up() -> None:
    counts = ServerCounts()
    assert counts.active == 0
    counts.begun, counts.answered, counts.aborted = 10, 6, 1
    assert counts.active == 3
