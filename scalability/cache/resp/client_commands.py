"""CLIENT: the clients that are connected, and what is known of them. PURE.

The last command and the age of a client are told as far as they are known: GET, and SET without options, are not noted, as noting them
would cost more than they do.
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from scalability.cache.resp import tracking
from scalability.cache.resp.commands import SYNTAX, CommandError, Family, Request, integer_of
from scalability.cache.resp.connection_commands import USER, check_printable
from scalability.cache.resp.subcommands import Subcommands
from scalability.resp import replies

if TYPE_CHECKING:
    from scalability.cache.resp.session import Session

FAMILY = Family("connection")
CLIENT = Subcommands("client")
CLIENT.include(tracking.CLIENT)
FAMILY.command("client", -2, summary="Tells of clients, names this one, ends others, tracks keys.")(CLIENT)

MAX_CONDITIONS = 32
"""Of one CLIENT KILL: each is asked of every client."""

_NO_CLIENT = "ERR No such client"
_TYPES = (b"normal", b"master", b"replica", b"slave", b"pubsub")


@CLIENT.subcommand("id", 2, summary="Returns this client's number.")
def id_(session: "Session", request: Request) -> bytes:
    """The number: never given twice."""
    return replies.integer(session.id)


@CLIENT.subcommand("getname", 2, summary="Returns this client's name.")
def getname(session: "Session", request: Request) -> bytes:
    """The name, or null."""
    return replies.bulk(session.name) if session.name else session.null


@CLIENT.subcommand("setname", 3, usage="<name>", summary="Gives this client a name; the empty one takes it away.")
def setname(session: "Session", request: Request) -> bytes:
    """OK."""
    check_printable(request[2], b"Client names")
    session.name = request[2]
    return replies.OK


@CLIENT.subcommand("setinfo", 4, usage="(LIB-NAME|LIB-VER) <value>", summary="Tells which library this client uses.")
def setinfo(session: "Session", request: Request) -> bytes:
    """OK."""
    attribute = request[2].lower()
    if attribute not in (b"lib-name", b"lib-ver"):
        raise CommandError(b"ERR Unrecognized option '%b'" % request[2][:128])
    check_printable(request[3], attribute)
    if attribute == b"lib-name":
        session.library = request[3]
    else:
        session.library_version = request[3]
    return replies.OK


@CLIENT.subcommand("info", 2, summary="Tells of this client.")
def info(session: "Session", request: Request) -> bytes:
    """One line of CLIENT LIST."""
    return replies.verbatim(_line(session, session.now), resp3=session.resp3)


@CLIENT.subcommand("list", -2, "costly", usage="[TYPE <type>] [ID <id> [...]]", summary="Tells of all clients, or of some.")
def list_(session: "Session", request: Request) -> bytes:
    """A line for each, in the order in which they came."""
    sessions: Iterable[Session] = session.server.sessions.values()
    if len(request) > 2:
        option = request[2].upper()
        if option == b"TYPE" and len(request) == 4:
            sessions = sessions if _type(request[3]) == b"normal" else ()
        elif option == b"ID" and len(request) > 3:
            numbers = {integer_of(text, "ERR Invalid client ID") for text in request[3:]}
            sessions = [one for one in sessions if one.id in numbers]
        else:
            raise CommandError(SYNTAX)
    return replies.verbatim(b"".join(_line(one, session.now) for one in sessions), resp3=session.resp3)


@CLIENT.subcommand(
    "kill",
    -3,
    "admin costly",
    usage="<ip:port>|<option> <value> [...]",
    summary="Ends connections: by ID, ADDR, TYPE, USER, SKIPME, MAXAGE.",
)
def kill(session: "Session", request: Request) -> bytes:
    """With options, how many were ended; with an address, OK."""
    if len(request) == 3:
        found = [one for one in session.server.sessions.values() if one.address.encode() == request[2]]
        if not found:
            raise CommandError(_NO_CLIENT)
        _end(session, found)
        return replies.OK
    conditions, skip_me = _conditions(session, request[2:])
    found = [
        one
        for one in session.server.sessions.values()
        if not (one is session and skip_me) and not one.closing and all(holds(one) for holds in conditions)
    ]
    _end(session, found)
    return replies.integer(len(found))


@CLIENT.subcommand("no-evict", 3, usage="(ON|OFF)", summary="Accepted: no client is ever evicted.")
def no_evict(session: "Session", request: Request) -> bytes:
    """OK."""
    if request[2].upper() not in (b"ON", b"OFF"):
        raise CommandError(SYNTAX)
    return replies.OK


@CLIENT.subcommand("no-touch", 3, usage="(OFF)", summary="Only OFF: every read counts for eviction.")
def no_touch(session: "Session", request: Request) -> bytes:
    """OK, or a refusal."""
    return _only(request, b"OFF", b"ON", "ERR CLIENT NO-TOUCH ON is not supported: every read counts for eviction")


@CLIENT.subcommand("reply", 3, usage="(ON)", summary="Only ON: every command is answered.")
def reply(session: "Session", request: Request) -> bytes:
    """OK, or a refusal."""
    return _only(request, b"ON", (b"OFF", b"SKIP"), "ERR CLIENT REPLY is not supported: every command is answered")


@CLIENT.subcommand("pause", -3, usage="<ms>", summary="Refused: commands are never held back.")
def pause(session: "Session", request: Request) -> bytes:
    """A refusal."""
    raise CommandError("ERR CLIENT PAUSE is not supported: commands are never held back")


@CLIENT.subcommand("unpause", 2, summary="Accepted: commands are never held back.")
def unpause(session: "Session", request: Request) -> bytes:
    """OK."""
    return replies.OK


@CLIENT.subcommand("unblock", -3, usage="<id> [TIMEOUT|ERROR]", summary="Returns 0: no command blocks.")
def unblock(session: "Session", request: Request) -> bytes:
    """0."""
    integer_of(request[2])
    return replies.ZERO


def _only(request: Request, yes: bytes, no: bytes | tuple[bytes, ...], refusal: str) -> bytes:
    word = request[2].upper()
    if word == yes:
        return replies.OK
    raise CommandError(refusal if word == no or word in no else SYNTAX)


def _line(one: "Session", now: float) -> bytes:
    """A client's line in CLIENT LIST, with the fields of Redis' that have a meaning here, and 0 in those whose lack client libraries
    fail at (valkey-py 6, redis-py 5): how long it has been idle, and what its buffers hold."""
    queued, watch, track = one.queued, one.watch, one.tracking
    flags = ("x" if queued is not None else "") + ("d" if watch is not None and watch.dirty else "")
    flags += "" if track is None else "tB" if track.broadcast else "t"
    # one expression: 10,000 clients may be told of at once
    return (
        f"id={one.id} addr={one.address} name={one.name.decode()} age={max(0, int(now - one.connected_at))} idle=0 "
        f"flags={flags or 'N'} "
        f"db=0 sub=0 psub=0 ssub=0 multi={-1 if queued is None else len(queued)} watch={0 if watch is None else len(watch.existed)} "
        f"qbuf=0 qbuf-free=0 argv-mem=0 multi-mem={0 if queued is None else queued.bytes} obl=0 oll=0 omem=0 tot-mem=0 "
        f"cmd={one.last_command or 'NULL'} user=default redir={-1 if track is None else 0} resp={3 if one.resp3 else 2} "
        f"lib-name={one.library.decode()} lib-ver={one.library_version.decode()}\n"
    ).encode()


def _end(session: "Session", found: list["Session"]) -> None:
    for one in found:
        if one is session:
            session.closing = True  # after the reply
        else:
            session.server.end(one)


def _type(text: bytes) -> bytes:
    kind = text.lower()
    if kind not in _TYPES:
        raise CommandError(b"ERR Unknown client type '%b'" % text[:128])
    return kind


def _conditions(session: "Session", words: Request) -> tuple[list[Callable[["Session"], bool]], bool]:
    """What CLIENT KILL asks of a client, and whether it spares the one that asks."""
    if len(words) % 2:
        raise CommandError(SYNTAX)
    if len(words) > 2 * MAX_CONDITIONS:
        raise CommandError(f"ERR {MAX_CONDITIONS} conditions are allowed")
    conditions: list[Callable[[Session], bool]] = []
    skip_me = True
    for option, value in zip(words[::2], words[1::2], strict=True):
        match option.upper():
            case b"ID":
                conditions.append(_has_id(value))
            case b"ADDR":
                conditions.append(_has_address(value))
            case b"MAXAGE":
                conditions.append(_is_older(session, value))
            case b"TYPE":
                conditions.append(_has_type(_type(value)))
            case b"USER":
                if value != USER:
                    raise CommandError(b"ERR No such user '%b'" % value[:128])
            case b"SKIPME" if value.lower() in (b"yes", b"no"):
                skip_me = value.lower() == b"yes"
            case _:
                raise CommandError(SYNTAX)
    return conditions, skip_me


def _has_id(text: bytes) -> Callable[["Session"], bool]:
    wrong = "ERR client-id should be greater than 0"
    number = integer_of(text, wrong)
    if number <= 0:
        raise CommandError(wrong)
    return lambda one: one.id == number


def _has_address(text: bytes) -> Callable[["Session"], bool]:
    return lambda one: one.address.encode() == text


def _is_older(session: "Session", text: bytes) -> Callable[["Session"], bool]:
    wrong = "ERR maxage is not an integer or out of range"
    seconds = integer_of(text, wrong)
    if seconds <= 0:
        raise CommandError("ERR maxage should be greater than 0")
    return lambda one: session.now - one.connected_at >= seconds


def _has_type(kind: bytes) -> Callable[["Session"], bool]:
    return lambda one: kind == b"normal"
