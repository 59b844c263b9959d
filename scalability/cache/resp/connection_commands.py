"""HELLO, AUTH, PING, ECHO, SELECT, QUIT and RESET: a client's connection and who it is. PURE."""

from typing import TYPE_CHECKING

from scalability.cache.resp.commands import NOT_AN_INTEGER, SYNTAX, CommandError, Family, Request, integer_of
from scalability.cache.resp.transactions import leave
from scalability.resp import replies

if TYPE_CHECKING:
    from scalability.cache.resp.session import Session

FAMILY = Family("connection")

SERVER_NAME = b"redis"
"""What HELLO calls the server. redis-py's client-side caching refuses any other name (``CacheProxyConnection``)."""

REDIS_VERSION = b"7.4.0"
"""The version of Redis that HELLO and INFO tell: clients conclude from it what they may use. It is the lowest that redis-py caches with."""

USER = b"default"
"""The only one there is."""

MAX_NAME_BYTES = 1024

_INT = 1 << 31
_WRONG = "WRONGPASS invalid username-password pair or user is disabled."
_NO_PASSWORD = (
    "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?"
)
_HELLO_FIRST = (
    "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be "
    "used to authenticate the client and select the RESP protocol version at the same time"
)


@FAMILY.command("hello", -1, "fast noscript no_auth", summary="Shakes hands: the version of the protocol, AUTH, SETNAME.")
def hello(session: "Session", request: Request) -> bytes:
    """A map of what the server is. Nothing is changed when one of the arguments is wrong."""
    version = integer_of(request[1], "ERR Protocol version is not an integer or out of range") if len(request) > 1 else None
    if version not in (None, 2, 3):
        raise CommandError("NOPROTO unsupported protocol version")
    name: bytes | None = None
    login: tuple[bytes, bytes] | None = None
    words = request[2:]
    while words:
        option = words[0].upper()
        if option == b"AUTH" and len(words) > 2:
            login = words[1], words[2]
            del words[:3]
        elif option == b"SETNAME" and len(words) > 1:
            check_printable(words[1], b"Client names")
            name = words[1]
            del words[:2]
        else:
            raise CommandError(b"ERR Syntax error in HELLO option '%b'" % words[0][:128])
    if login is not None:
        _authenticate(session, *login)
    if not session.authenticated:
        raise CommandError(_HELLO_FIRST)
    if name is not None:
        session.name = name
    if version is not None:
        session.speak(version)
    pairs = [
        (b"server", replies.bulk(SERVER_NAME)),
        (b"version", replies.bulk(REDIS_VERSION)),
        (b"proto", replies.integer(3 if session.resp3 else 2)),
        (b"id", replies.integer(session.id)),
        (b"mode", replies.bulk(b"standalone")),
        (b"role", replies.bulk(b"master")),
        (b"modules", replies.EMPTY_ARRAY),
    ]
    return replies.mapping([(replies.bulk(key), value) for key, value in pairs], resp3=session.resp3)


@FAMILY.command("auth", -2, "fast noscript no_auth", summary="Gives the password: [user] password.")
def auth(session: "Session", request: Request) -> bytes:
    """OK. Who has been let in stays so, whatever else it tries."""
    if len(request) > 3:
        raise CommandError(SYNTAX)
    if len(request) == 2:
        if not session.server.password_needed:
            raise CommandError(_NO_PASSWORD)
        _authenticate(session, USER, request[1])
    else:
        _authenticate(session, request[1], request[2])
    return replies.OK


@FAMILY.command("ping", -1, "fast", summary="Answers PONG, or the message given.")
def ping(session: "Session", request: Request) -> bytes:
    """PONG, or the message."""
    if len(request) > 2:
        raise CommandError("ERR wrong number of arguments for 'ping' command")
    return replies.bulk(request[1]) if len(request) == 2 else b"+PONG\r\n"


@FAMILY.command("echo", 2, "fast", summary="Answers the message given.")
def echo(session: "Session", request: Request) -> bytes:
    """The message."""
    return replies.bulk(request[1])


@FAMILY.command("select", 2, "fast", summary="Selects the database: 0, as there is one.")
def select(session: "Session", request: Request) -> bytes:
    """OK."""
    number = integer_of(request[1], NOT_AN_INTEGER)
    if not -_INT <= number < _INT:
        raise CommandError(f"ERR value is out of range, value must between {-_INT} and {_INT - 1}")
    if number != 0:
        raise CommandError("ERR DB index is out of range")
    return replies.OK


@FAMILY.command("quit", -1, "fast noscript no_auth no_multi", summary="Closes the connection.")
def quit_(session: "Session", request: Request) -> bytes:
    """OK, and the connection ends."""
    session.closing = True
    return replies.OK


@FAMILY.command("reset", 1, "fast noscript no_auth no_multi", summary="Makes the connection as if it were new.")
def reset(session: "Session", request: Request) -> bytes:
    """RESET: no transaction, no watched keys, no tracking, no name, RESP2, and the password to be given again."""
    leave(session)
    if session.tracking is not None:
        session.tracking.end()
        session.tracking = None
    session.name = b""
    session.speak(2)
    session.authenticated = not session.server.password_needed
    return b"+RESET\r\n"


def check_printable(text: bytes, what: bytes) -> None:
    """Raise CommandError unless ``text`` can stand in CLIENT LIST."""
    if any(not 33 <= byte <= 126 for byte in text):
        raise CommandError(b"ERR %b cannot contain spaces, newlines or special characters." % what)
    if len(text) > MAX_NAME_BYTES:
        raise CommandError(b"ERR %b cannot be longer than %d bytes." % (what, MAX_NAME_BYTES))


def _authenticate(session: "Session", user: bytes, password: bytes) -> None:
    """Raise CommandError unless ``user`` may come in with ``password``, any where none is asked for (as Redis has it)."""
    right_password = session.server.right_password
    if user != USER or (right_password is not None and not right_password(password)):
        raise CommandError(_WRONG)
    session.authenticated = True
