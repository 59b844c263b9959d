"""The server in memory that tests of the HTTP server share."""

from scalability.testing.recorded_server import GET, RecordedServer, error_of, hello, statuses


def test_it_answers_as_it_is_told_and_remembers() -> None:
    server = RecordedServer(hello)
    server.client.deliver(GET)
    assert statuses(server.client.taken()) == [200]
    assert [exchange.head.target for exchange in server.application.exchanges] == [b"/a"]
    server.client.deliver(b"NONSENSE\r\n\r\n")
    assert error_of(server.client.taken()) == (400, "bad_request")


def test_time_passes_for_its_deadlines() -> None:
    server = RecordedServer()
    server.pass_time(11)
    assert not server.client.open
