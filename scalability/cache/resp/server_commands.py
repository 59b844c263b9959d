"""TIME, ROLE, and what tools ask of every server: SLOWLOG, LATENCY, ACL, MODULE, SHUTDOWN. PURE."""

from typing import TYPE_CHECKING

from scalability.cache.resp.commands import CommandError, Family, Request, integer_of
from scalability.cache.resp.connection_commands import USER
from scalability.cache.resp.subcommands import Subcommands
from scalability.resp import replies

if TYPE_CHECKING:
    from scalability.cache.resp.session import Session

FAMILY = Family("server")
SLOWLOG = Subcommands("slowlog")
LATENCY = Subcommands("latency")
ACL = Subcommands("acl")
MODULE = Subcommands("module")
FAMILY.command("slowlog", -2, "admin", summary="Always empty: slow commands are not noted.")(SLOWLOG)
FAMILY.command("latency", -2, "admin noscript", summary="Always empty: see the metrics of the event loop.")(LATENCY)
FAMILY.command("acl", -2, "noscript", summary="Tells who this client is.")(ACL)
FAMILY.command("module", -2, "admin noscript", summary="Always empty: there are no modules.")(MODULE)


@FAMILY.command("time", 1, "fast", summary="Returns the server's time.")
def time_(session: "Session", request: Request) -> bytes:
    """Unix seconds, and the microseconds beyond them."""
    seconds, microseconds = divmod(int(session.now * 1_000_000), 1_000_000)
    return replies.bulks([b"%d" % seconds, b"%d" % microseconds])


@FAMILY.command("role", 1, "fast noscript", summary="Returns master: this server replicates nothing.")
def role(session: "Session", request: Request) -> bytes:
    """A master without replicas."""
    return replies.array([replies.bulk(b"master"), replies.ZERO, replies.EMPTY_ARRAY])


@FAMILY.command("shutdown", -1, "admin noscript", summary="Refused: the server is ended by a signal.")
def shutdown(session: "Session", request: Request) -> bytes:
    """A refusal."""
    raise CommandError("ERR SHUTDOWN is refused: end the server with SIGTERM")


@SLOWLOG.subcommand("get", -2, "admin", usage="[<count>]", summary="Returns nothing.")
def slowlog_get(session: "Session", request: Request) -> bytes:
    """An empty array."""
    if len(request) > 3:
        raise CommandError("ERR wrong number of arguments for 'slowlog|get' command")
    wrong = "ERR count should be greater than or equal to -1"
    if len(request) == 3 and integer_of(request[2], wrong) < -1:
        raise CommandError(wrong)
    return replies.EMPTY_ARRAY


@SLOWLOG.subcommand("len", 2, "admin", summary="Returns 0.")
def slowlog_len(session: "Session", request: Request) -> bytes:
    """0."""
    return replies.ZERO


@SLOWLOG.subcommand("reset", 2, "admin", summary="Does nothing.")
def slowlog_reset(session: "Session", request: Request) -> bytes:
    """OK."""
    return replies.OK


@LATENCY.subcommand("latest", 2, "admin", summary="Returns nothing.")
def latency_latest(session: "Session", request: Request) -> bytes:
    """An empty array."""
    return replies.EMPTY_ARRAY


@LATENCY.subcommand("history", 3, "admin", usage="<event>", summary="Returns nothing.")
def latency_history(session: "Session", request: Request) -> bytes:
    """An empty array."""
    return replies.EMPTY_ARRAY


@LATENCY.subcommand("reset", -2, "admin", usage="[<event> ...]", summary="Returns 0.")
def latency_reset(session: "Session", request: Request) -> bytes:
    """0."""
    return replies.ZERO


@ACL.subcommand("whoami", 2, summary="Returns the user: default.")
def whoami(session: "Session", request: Request) -> bytes:
    """The only user there is."""
    return replies.bulk(USER)


@MODULE.subcommand("list", 2, "admin", summary="Returns nothing.")
def module_list(session: "Session", request: Request) -> bytes:
    """An empty array."""
    return replies.EMPTY_ARRAY
