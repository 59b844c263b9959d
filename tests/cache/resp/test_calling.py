"""A command's failure is its reply."""

from scalability.cache.resp.calling import call
from scalability.cache.resp.commands import CommandError, Family, Request
from scalability.cache.resp.session import Session
from scalability.testing.resp_session import RespSession

FAMILY = Family("test")


@FAMILY.command("refuse", -1, "readonly", keys=(1, -1, 1), summary="")
def refuse(session: Session, request: Request) -> bytes:
    raise CommandError("ERR no\r\nnever")


@FAMILY.command("break", 1, summary="")
def break_(session: Session, request: Request) -> bytes:
    raise ZeroDivisionError("secret")


def test_errors_are_replies_and_are_counted() -> None:
    client = RespSession(FAMILY)
    assert call(client.session, FAMILY.commands["refuse"], [b"refuse"]) == b"-ERR no  never\r\n"
    assert client.server.counts.errors == 1


def test_our_mistakes_are_told_to_the_log_alone() -> None:
    client = RespSession(FAMILY)
    failed: list[str] = []
    client.server.command_failed = failed.append
    reply = call(client.session, FAMILY.commands["break"], [b"break"])
    assert reply == b"-ERR internal error; the server's log has more\r\n"
    assert failed == ["break"]
    assert client.server.counts.errors == 1


def test_keys_that_may_have_been_read_are_tracked_even_after_an_error() -> None:
    class Tracked:
        def __init__(self) -> None:
            self.keys: list[bytes] = []

        def read(self, keys: list[bytes]) -> None:
            self.keys += keys

    client = RespSession(FAMILY)
    client.session.tracking = tracked = Tracked()
    call(client.session, FAMILY.commands["refuse"], [b"refuse", b"a", b"b"])
    assert tracked.keys == [b"a", b"b"]
