"""CLIENT TRACKING, CACHING, TRACKINGINFO and GETREDIR: client-side caching, as a client asks for it. PURE."""

from typing import TYPE_CHECKING

from scalability.cache.resp.commands import SYNTAX, CommandError, Request
from scalability.cache.resp.subcommands import Subcommands
from scalability.cache.resp.tracking_table import Tracking
from scalability.resp import replies

if TYPE_CHECKING:
    from scalability.cache.resp.session import Session

CLIENT = Subcommands("client")

MAX_PREFIXES = 32
MAX_PREFIX_BYTES = 256
"""What one client may listen to: the lengths that prefixes have are tried at every change."""

_NO_REDIRECT = "ERR REDIRECT is not supported: a client is told of changes by pushes of RESP3 (HELLO 3), on its own connection"


def _switch(what: str) -> CommandError:
    return CommandError(
        f"ERR You can't switch {what} mode{' on/off' if what == 'BCAST' else ''} before disabling tracking for this client, "
        "and then re-enabling it with a different mode."
    )


@CLIENT.subcommand(
    "tracking",
    -3,
    usage="(ON|OFF) [BCAST] [PREFIX <prefix> [...]] [OPTIN] [OPTOUT] [NOLOOP]",
    summary="Tells this client of changes of the keys that it has read.",
)
def tracking(session: "Session", request: Request) -> bytes:
    """OK. The messages are pushes of RESP3; a client of RESP2 is not told anything, as in Redis without REDIRECT."""
    options, prefixes = _options(request[3:])
    switch = request[2].upper()
    if switch == b"ON":
        _check(session, options, prefixes)
        _track(session, options, prefixes)
    elif switch == b"OFF":
        if session.tracking is not None:
            session.tracking.end()
            session.tracking = None
    else:
        raise CommandError(SYNTAX)
    return replies.OK


@CLIENT.subcommand("caching", 3, usage="(YES|NO)", summary="Tracks, or does not track, what the next command reads.")
def caching(session: "Session", request: Request) -> bytes:
    """OK."""
    track = session.tracking
    if track is None:
        raise CommandError("ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled")
    answer = request[2].upper()
    if answer not in (b"YES", b"NO"):
        raise CommandError(SYNTAX)
    if not (track.optin if answer == b"YES" else track.optout):
        mode = "OPTIN" if answer == b"YES" else "OPTOUT"
        raise CommandError(f"ERR CLIENT CACHING {answer.decode()} is only valid when tracking is enabled in {mode} mode.")
    track.caching = True
    return replies.OK


@CLIENT.subcommand("trackinginfo", 2, summary="Tells what CLIENT TRACKING has set for this client.")
def trackinginfo(session: "Session", request: Request) -> bytes:
    """A map of flags, redirect and prefixes."""
    track = session.tracking
    flags = [b"off"] if track is None else track.flags()
    prefixes = [] if track is None else track.prefixes
    pairs = [
        (replies.bulk(b"flags"), replies.a_set([replies.bulk(flag) for flag in flags], resp3=session.resp3)),
        (replies.bulk(b"redirect"), _redirect(session)),
        (replies.bulk(b"prefixes"), replies.bulks(prefixes)),
    ]
    return replies.mapping(pairs, resp3=session.resp3)


@CLIENT.subcommand("getredir", 2, summary="Tells to which client this one's messages go: 0, itself, or -1, none are sent.")
def getredir(session: "Session", request: Request) -> bytes:
    """0 with tracking on, else -1."""
    return _redirect(session)


def _redirect(session: "Session") -> bytes:
    return replies.integer(-1 if session.tracking is None else 0)


def _options(words: Request) -> tuple[set[bytes], list[bytes]]:
    options: set[bytes] = set()
    prefixes: list[bytes] = []
    rest = iter(words)
    for word in rest:
        option = word.upper()
        if option in (b"BCAST", b"OPTIN", b"OPTOUT", b"NOLOOP"):
            options.add(option)
        elif option == b"PREFIX" and (prefix := next(rest, None)) is not None:
            prefixes.append(prefix)
        elif option == b"REDIRECT" and next(rest, None) is not None:
            raise CommandError(_NO_REDIRECT)
        else:
            raise CommandError(SYNTAX)
    return options, prefixes


def _check(session: "Session", options: set[bytes], prefixes: list[bytes]) -> None:
    """That ``options`` go together, and with those that the client has; the order is Redis'."""
    track = session.tracking
    if prefixes and b"BCAST" not in options:
        raise CommandError("ERR PREFIX option requires BCAST mode to be enabled")
    if track is not None and track.broadcast is not (b"BCAST" in options):
        raise _switch("BCAST")
    if b"BCAST" in options and options & {b"OPTIN", b"OPTOUT"}:
        raise CommandError("ERR OPTIN and OPTOUT are not compatible with BCAST")
    if {b"OPTIN", b"OPTOUT"} <= options:
        raise CommandError("ERR You can't specify both OPTIN mode and OPTOUT mode")
    if track is not None and ((b"OPTIN" in options and track.optout) or (b"OPTOUT" in options and track.optin)):
        raise _switch("OPTIN/OPTOUT")
    _check_prefixes([] if track is None else track.prefixes, prefixes)


def _check_prefixes(old: list[bytes], new: list[bytes]) -> None:
    if len(old) + len(new) > MAX_PREFIXES:
        raise CommandError(f"ERR too many prefixes: {MAX_PREFIXES} are allowed")
    for number, prefix in enumerate(new):
        if len(prefix) > MAX_PREFIX_BYTES:
            raise CommandError(f"ERR a prefix has {len(prefix)} bytes: {MAX_PREFIX_BYTES} are allowed")
        for others, which in ((old, b"an existing prefix"), (new[number + 1 :], b"another provided prefix")):
            for other in others:
                if prefix.startswith(other) or other.startswith(prefix):
                    raise CommandError(
                        b"ERR Prefix '%b' overlaps with %b '%b'. Prefixes for a single client must not overlap." % (prefix, which, other)
                    )


def _track(session: "Session", options: set[bytes], prefixes: list[bytes]) -> None:
    track = session.tracking
    if track is None:
        track = session.tracking = Tracking(session.server.tracking, session, broadcast=b"BCAST" in options)
    track.optin, track.optout, track.noloop = (option in options for option in (b"OPTIN", b"OPTOUT", b"NOLOOP"))
    if track.broadcast:
        track.add_prefixes(prefixes or [b""])
