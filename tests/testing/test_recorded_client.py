"""The client in memory that tests of connections to servers share."""

from scalability.testing.recorded_client import HEAD, OK, Asker, RecordedClient


def test_an_asker_remembers_what_it_is_told_and_the_test_is_the_server() -> None:
    client = RecordedClient()
    asker, server = client.ask(b"POST", ended=False)
    server.deliver(OK)
    assert asker.events == [("head", 200, b"hi", True)]
    _, server = client.open()
    assert server.taken() == b""
    asker.connection = None
    client.pool.open(asker)
    assert client.network.accept().open
    assert asker.events[-1] == ("connected",)


def test_time_passes_for_its_deadlines() -> None:
    client = RecordedClient(answer_s=1.0)
    asker, _ = client.ask()
    client.pass_time(1.5)
    assert asker.events == [("failed", "answer_timeout")]
    client.pool.open(refused := Asker())
    client.network.refuse()
    assert refused.events[-1][:2] == ("failed", "connect_failed")
    assert HEAD.endswith(b"\r\n\r\n")
