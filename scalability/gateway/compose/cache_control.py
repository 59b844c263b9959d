"""PURE. The Cache-Control of a whole is the strictest of its parts' (RFC 9111 section 5.2.2): it is fresh as long as all of them are."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from scalability.gateway.http_cache.directives import response_directives
from scalability.gateway.http_cache.freshness import initial_age, lifetime
from scalability.http1.response_head import ResponseHead


@dataclass(frozen=True, slots=True)
class Freshness:
    """What one part allows. ``fresh_s``: seconds that it stays fresh from now on, None when it did not say."""

    fresh_s: float | None = None
    no_store: bool = False
    no_cache: bool = False
    private: bool = False
    must_revalidate: bool = False


def freshness(head: ResponseHead, request_time_s: float, response_time_s: float, wall: float) -> Freshness:
    """What an answer allows that was asked for and came at these times of one clock; ``wall`` is when it came, in Unix seconds.

    Fields for certain caches do not count.
    """
    said = response_directives(head, ())
    stated = lifetime(head.status, head, said, wall)
    fresh_s: float | None = None
    if stated.explicit:
        # the whole has one lifetime, for shared caches and for browsers
        most = stated.seconds if said.max_age is None else min(stated.seconds, said.max_age)
        fresh_s = most - initial_age(head, request_time_s, response_time_s, wall)
    return Freshness(
        fresh_s,
        no_store=said.no_store,
        no_cache=said.no_cache or bool(said.no_cache_fields),
        # proxy-revalidate is for shared caches alone, and the whole keeps out of them
        private=said.private or bool(said.private_fields) or said.proxy_revalidate,
        must_revalidate=said.must_revalidate,
    )


def strictest(parts: Sequence[Freshness], *, complete: bool = True) -> bytes:
    """Cache-Control of the whole.

    A part that says nothing of its lifetime makes the whole ``no-cache``: nobody can know how long it would stay true. An incomplete
    whole is never stored, so that it lasts no longer than the failure.
    """
    if not complete or not parts or any(part.no_store for part in parts):
        return b"no-store"
    revalidate = any(part.must_revalidate for part in parts)
    # must-revalidate lets shared caches keep what was answered to an Authorization (section 3.5): all parts must have allowed that
    private = any(part.private for part in parts) or (revalidate and not all(part.must_revalidate for part in parts))
    directives = [b"private"] if private else []
    lifetimes = [part.fresh_s for part in parts if part.fresh_s is not None]
    if len(lifetimes) < len(parts) or any(part.no_cache for part in parts):
        directives.append(b"no-cache")
    else:
        directives.append(b"max-age=%d" % max(0, int(min(lifetimes))))
        if revalidate:
            directives.append(b"must-revalidate")
    return b", ".join(directives)


def all_varies(values: Iterable[bytes]) -> bytes:
    """The Vary of a whole: every field that one of its parts varies by, once, in lower case; ``*`` when one of them varies by anything."""
    names: dict[bytes, None] = {}
    for value in values:
        for name in value.split(b","):
            lower = name.strip(b" \t").lower()
            if lower == b"*":
                return b"*"
            if lower:
                names[lower] = None
    return b", ".join(names)
