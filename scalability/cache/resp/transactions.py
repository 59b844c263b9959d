"""MULTI, EXEC, DISCARD, WATCH, UNWATCH. PURE.

A client is outside of a transaction (``session.queued`` is None) or inside one. MULTI enters; inside, every command is put off
(``enqueue``) except those with the flag ``no_multi``; EXEC runs what was put off, in one go, and leaves; DISCARD and RESET leave.
EXEC runs nothing when a command could not be put off (``session.queue_failed``), or when a watched key has changed.
As in Redis, a command that fails when it is run fails alone: those after it run nevertheless.
"""

from typing import TYPE_CHECKING

from scalability.cache.resp.calling import call
from scalability.cache.resp.commands import Command, CommandError, Family, Request
from scalability.cache.resp.subcommands import Subcommands
from scalability.cache.resp.values import MAX_REPLY_BYTES
from scalability.cache.resp.watching import Watch
from scalability.resp import replies

if TYPE_CHECKING:
    from scalability.cache.resp.session import Session

FAMILY = Family("transactions")

MAX_COMMANDS = 5_000
"""In one transaction. EXEC holds the reactor until all have run: 3 to 11 ms for so many."""

MAX_WORDS = 25_000
"""Of all its commands together, their names among them."""

MAX_COSTLY = 4
"""Commands of it whose cost is no matter of their length: KEYS, SCAN, INFO, COMMAND, CLIENT LIST, CONFIG GET. Each takes up to 3 ms."""

_COPYING = frozenset(("append", "getdel", "getex", "getset", "setrange"))
"""Commands that write and copy whole values all the same. All that only read may do so too."""

MAX_QUEUED_BYTES = 64 << 20
"""Of all transactions of a server together, as ``_cost`` counts them."""

MAX_OWN_BYTES = 16 << 20
"""Of one transaction, unless a single command is larger: so one client cannot make the others' fail."""

MAX_COPIED_BYTES = 32 << 20
"""Of values that one EXEC copies. Each is copied three times on its way: 32 MiB hold the reactor for 53 ms, 128 MiB for 205."""

SHORT = 64
"""Replies up to so many bytes are never refused: OK, a number, an error."""


Queued = tuple[Command, Request, bool]
"""What EXEC will run, and whether that may copy whole values into its reply."""


class Queue:
    """What a client has put off since MULTI. ``held``: the bytes of all queues of the server."""

    def __init__(self, held: "HeldBytes") -> None:
        self._held = held
        self.bytes = 0
        """Of what it holds, as ``_cost`` counts them."""
        self._words = 0
        self._costly = 0
        self.commands: list[Queued] = []

    def __len__(self) -> int:
        return len(self.commands)

    def append(self, command: Command, request: Request) -> None:
        """Put ``command`` off. Raises CommandError when that is one too many."""
        if len(self.commands) >= MAX_COMMANDS:
            raise CommandError(f"ERR too many commands in one transaction: {MAX_COMMANDS} are allowed")
        if self._words + len(request) > MAX_WORDS:
            raise CommandError(f"ERR too many arguments in one transaction: {MAX_WORDS} are allowed")
        costly = self._costly + self._is_costly(command, request)
        if costly > MAX_COSTLY:
            raise CommandError(f"ERR too many costly commands in one transaction: {MAX_COSTLY} like '{command.name}' are allowed")
        cost = _cost(request)
        if self.commands and self.bytes + cost > MAX_OWN_BYTES:
            raise CommandError(f"ERR this transaction would hold more than {MAX_OWN_BYTES} bytes, which is the most for several commands")
        if self._held.bytes + cost > MAX_QUEUED_BYTES:
            raise CommandError(f"ERR the transactions under way hold {MAX_QUEUED_BYTES} bytes, which is the most; try again later")
        self._words += len(request)
        self._costly = costly
        self._held.bytes += cost
        self.bytes += cost
        self.commands.append((command, request, _copies(command, request)))

    def _is_costly(self, command: Command, request: Request) -> bool:
        part = command.run.find(request) if isinstance(command.run, Subcommands) else None
        return "costly" in command.flags or (part is not None and "costly" in part.flags)

    def end(self) -> None:
        """Forget all."""
        self._held.bytes -= self.bytes
        self.bytes = 0
        self.commands = []


class HeldBytes:
    """How much the queues of one server hold."""

    def __init__(self) -> None:
        self.bytes = 0


def _copies(command: Command, request: Request) -> bool:
    return "readonly" in command.flags or command.name in _COPYING or (command.name == "set" and b"GET" in map(bytes.upper, request[3:]))


def _cost(request: Request) -> int:
    """Bytes of memory that ``request`` takes, about: each part is an object, and so is their list."""
    return 120 + 40 * len(request) + sum(map(len, request))


def enqueue(session: "Session", command: Command, request: Request) -> bytes:
    """QUEUED: ``command`` will be run by EXEC. Raises CommandError when it cannot be; EXEC must refuse then."""
    assert session.queued is not None
    if isinstance(command.run, Subcommands):
        command.run.find(request)
    session.queued.append(command, request)
    return replies.QUEUED


def leave(session: "Session") -> None:
    """End the transaction, if there is one, and watch nothing any more."""
    if session.queued is not None:
        session.queued.end()
        session.queued = None
    session.queue_failed = False
    if session.watch is not None:
        session.watch.end()
        session.watch = None


@FAMILY.command("multi", 1, "fast noscript no_multi", summary="Starts a transaction: what follows is run by EXEC.")
def multi(session: "Session", request: Request) -> bytes:
    """OK."""
    if session.queued is not None:
        return _refused(session, b"ERR MULTI calls can not be nested")
    session.queued = Queue(session.server.queued)
    session.queue_failed = False
    return replies.OK


@FAMILY.command("exec", 1, "noscript no_multi", summary="Runs all commands of a transaction.")
def exec_(session: "Session", request: Request) -> bytes:
    """The replies of all of them; null when a watched key has changed."""
    queue = session.queued
    if queue is None:
        raise CommandError("ERR EXEC without MULTI")
    failed = session.queue_failed
    broken = session.watch is not None and session.watch.broken(session.now)
    commands = queue.commands
    leave(session)
    if failed:
        raise CommandError("EXECABORT Transaction discarded because of previous errors.")
    if broken:
        return session.null_array
    return replies.array(_run_all(session, commands))


def _run_all(session: "Session", commands: list[Queued]) -> list[bytes]:
    """The answers. When ``MAX_COPIED_BYTES`` of values have been copied, commands that may copy more are not run."""
    answers: list[bytes] = []
    copied = size = 0
    for command, request, copies in commands:
        if copies and copied > MAX_COPIED_BYTES:
            answers.append(b"-ERR not run: this transaction has copied more than %d bytes of values\r\n" % MAX_COPIED_BYTES)
            continue
        answer = call(session, command, request)
        copied += len(answer)
        if command.name in ("append", "setrange"):
            copied += len(session.entries.cache.peek(request[1], session.now) or b"")
        size += len(answer)
        if size > MAX_REPLY_BYTES and len(answer) > SHORT:
            size -= len(answer)
            answer = b"-ERR the command was run, but the answers of this transaction exceed %d bytes\r\n" % MAX_REPLY_BYTES
        answers.append(answer)
    return answers


@FAMILY.command("discard", 1, "fast noscript no_multi", summary="Ends a transaction without running it.")
def discard(session: "Session", request: Request) -> bytes:
    """OK."""
    if session.queued is None:
        raise CommandError("ERR DISCARD without MULTI")
    leave(session)
    return replies.OK


@FAMILY.command("watch", -2, "fast noscript no_multi", keys=(1, -1, 1), summary="Watches keys: EXEC runs nothing when one has changed.")
def watch(session: "Session", request: Request) -> bytes:
    """OK."""
    if session.queued is not None:
        return _refused(session, b"ERR WATCH inside MULTI is not allowed")
    if session.watch is None:
        session.watch = Watch(session.server.watches)
    session.watch.add(request[1:], session.now)
    return replies.OK


@FAMILY.command("unwatch", 1, "fast noscript", summary="Watches no keys any more.")
def unwatch(session: "Session", request: Request) -> bytes:
    """OK."""
    if session.watch is not None:
        session.watch.end()
        session.watch = None
    return replies.OK


def _refused(session: "Session", text: bytes) -> bytes:
    """An error that, as in Redis, does not spoil the transaction in which it happens."""
    session.server.counts.errors += 1
    return replies.error(text)
