"""Each request has one reply, whatever it is."""

from scalability.cache.resp.commands import CommandError, Family, table
from scalability.cache.resp.dispatch import Dispatch
from scalability.cache.resp.session import Session
from scalability.cache.resp.transactions import HeldBytes, Queue
from scalability.resp import replies
from scalability.testing.resp_session import RespSession

FAMILY = Family("test")


@FAMILY.command("ok", 2, "readonly fast", keys=(1, 1, 1), summary="")
def ok(session: Session, request: list[bytes]) -> bytes:
    return replies.OK


@FAMILY.command("wrong", 1, "no_auth", summary="")
def wrong(session: Session, request: list[bytes]) -> bytes:
    raise CommandError("ERR wrong\r\nnumber")


@FAMILY.command("broken", 1, summary="")
def broken(session: Session, request: list[bytes]) -> bytes:
    raise ZeroDivisionError("secret")


class Tracking:
    def __init__(self) -> None:
        self.keys: list[bytes] = []
        self.names: list[str] = []

    def read(self, keys: list[bytes]) -> None:
        self.keys += keys

    def passed(self, name: str) -> None:
        self.names.append(name)


class Dispatched:
    def __init__(self) -> None:
        self.client = RespSession(FAMILY)
        self.session = self.client.session
        self.dispatch = Dispatch(table([FAMILY]))

    def run(self, *request: bytes) -> bytes:
        return self.dispatch.run(self.session, list(request))


def test_a_command_is_run_in_any_spelling() -> None:
    dispatched = Dispatched()
    assert [dispatched.run(name, b"a") for name in (b"ok", b"OK", b"oK")] == [replies.OK] * 3
    assert dispatched.session.last_command == "ok"


def test_an_unknown_command() -> None:
    dispatched = Dispatched()
    reply = dispatched.run(b"nonsense\r\n" * 100, b"a")
    assert reply.startswith(b"-ERR unknown command 'nonsense")
    assert reply.count(b"\r\n") == 1
    assert len(reply) < 400
    assert dispatched.session.server.counts.errors == 1


def test_what_cannot_be_run_has_passed_too() -> None:
    dispatched = Dispatched()
    dispatched.session.tracking = tracking = Tracking()
    dispatched.run(b"nonsense")
    dispatched.run(b"ok")
    dispatched.run(b"ok", b"a")
    assert tracking.names == ["", "", "ok"]


def test_a_wrong_number_of_arguments() -> None:
    assert Dispatched().run(b"OK") == b"-ERR wrong number of arguments for 'ok' command\r\n"


def test_an_error_of_the_command() -> None:
    assert Dispatched().run(b"wrong") == b"-ERR wrong  number\r\n"


def test_without_the_password_only_some_commands_run() -> None:
    dispatched = Dispatched()
    dispatched.session.authenticated = False
    assert dispatched.run(b"ok", b"a") == b"-NOAUTH Authentication required.\r\n"
    assert dispatched.run(b"wrong").startswith(b"-ERR wrong")


def test_a_mistake_of_ours_tells_nothing() -> None:
    reply = Dispatched().run(b"broken")
    assert reply.startswith(b"-ERR internal error")
    assert b"secret" not in reply


def test_what_a_tracked_session_reads_is_noted() -> None:
    dispatched = Dispatched()
    dispatched.session.tracking = tracking = Tracking()
    dispatched.run(b"ok", b"a")
    dispatched.run(b"wrong")
    assert tracking.keys == [b"a"]
    assert tracking.names == ["ok", "wrong"]


def test_within_a_transaction_commands_are_put_off_and_mistakes_spoil_it() -> None:
    dispatched = Dispatched()
    dispatched.session.queued = queue = Queue(HeldBytes())
    assert dispatched.run(b"ok", b"a") == replies.QUEUED
    assert [command.name for command, *_ in queue.commands] == ["ok"]
    assert not dispatched.session.queue_failed
    assert dispatched.run(b"OK").startswith(b"-ERR wrong number")
    assert dispatched.session.queue_failed
