"""The client of RESP without a network."""

from scalability.cache.resp.commands import CommandError, Family, Request
from scalability.cache.resp.session import Session
from scalability.testing.resp_session import START, RespSession

FAMILY = Family("tried")


@FAMILY.command("tell", 2, "write", keys=(1, 1, 1), summary="Keeps the time under a key.")
def tell(session: Session, request: Request) -> bytes:
    if request[1] == b"no":
        raise CommandError("ERR no")
    session.entries.put(request[1], b"%d" % session.now, session.now, session.now + 5, session)
    return b"+told\r\n"


def test_commands_run_and_their_errors_are_answers() -> None:
    client = RespSession(FAMILY)
    assert client.run("TELL", "a") == b"+told\r\n"
    assert client.run("tell", b"no") == b"-ERR no\r\n"
    assert client.run("tell") == b"-ERR wrong number of arguments for 'tell' command\r\n"
    assert client.run("ask", 1) == b"-ERR unknown command 'ask'\r\n"


def test_values_their_ends_and_changes_are_seen() -> None:
    client = RespSession(FAMILY)
    client.run("tell", "a")
    client.clock.advance(2)
    assert (client.value("a"), client.ends_in("a")) == (b"%d" % START, 3)
    assert (client.value(b"b"), client.ends_in("b")) == (None, None)
    client.entries.clear()
    assert (client.changes.keys, client.changes.by) == ([b"a", b"*"], [client.session, None])
