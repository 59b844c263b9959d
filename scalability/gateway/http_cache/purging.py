"""Purging on the gateway's admin listener: by URL, by prefix, by tag; hard, or soft (validated before it is used again).

    POST /purge {"url": "http://shop.example/a?b=c"}
    POST /purge {"prefix": "http://shop.example/pictures/", "soft": true}
    POST /purge {"tag": "product-7"}
    POST /purge {"all": true}
    GET /http-cache                                what is stored, and what became of requests

The URL is the one that clients ask for, with the name that stands in their Host field. Changing calls carry the admin token.

What may be much is purged in pieces, and between two of them the reactor serves whoever waits. A caller that leaves ends it: what was
purged by then stays so.
"""

from collections.abc import Generator
from contextlib import closing
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from klein import Klein
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.web.iweb import IRequest

from scalability.api.admin_token import AdminToken
from scalability.api.json import json_answer, read_json
from scalability.errors import Unprocessable
from scalability.gateway.http_cache.counts import CacheCounts
from scalability.gateway.http_cache.key import primary_key
from scalability.gateway.http_cache.metrics import as_json
from scalability.gateway.http_cache.store import AnswerStore
from scalability.lifecycle.places import Places

FIELDS = ((b"cache-control", b"no-store"),)

PAUSE_S: Final = 0.001
"""Between two pieces: purging takes about half of the reactor's time while others want it."""
AT_ONCE: Final = 2
"""Purges that go on side by side."""
WAITING: Final = 16
"""Purges that wait for one of these to end; one more is answered 503."""


class Purge(msgspec.Struct, forbid_unknown_fields=True):
    """The body of ``POST /purge``: one of the four, and how."""

    url: str | None = None
    prefix: str | None = None
    tag: str | None = None
    all: bool = False
    soft: bool = False

    def __post_init__(self) -> None:
        if sum((self.url is not None, self.prefix is not None, self.tag is not None, self.all)) != 1:
            raise ValueError("name one of url, prefix, tag and all")


def key_of(url: str) -> bytes:
    """The key of an absolute URL, or of the beginning of one. Raises ValueError."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc or "@" in parts.netloc:
        raise ValueError(f"{url!r} is not http://HOST/PATH, as clients ask for it")
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError(f"{url!r} has characters that must be escaped in a URL")
    target = (parts.path or "/") + ("?" + parts.query if parts.query else "")
    return primary_key(parts.scheme.encode(), parts.netloc.encode(), target.encode())


def pieces(store: AnswerStore, wanted: Purge, now: float) -> Generator[int, None, None]:
    """What does it, piece by piece: how many answers each time. Raises ValueError at once."""
    if wanted.url is not None:
        return _at_once(store.purge(key_of(wanted.url), now, soft=wanted.soft))
    if wanted.prefix is not None:
        return store.purge_prefix(key_of(wanted.prefix), now, soft=wanted.soft)
    if wanted.tag is not None:
        return store.purge_tag(wanted.tag.encode(), now, soft=wanted.soft)
    return store.purge_prefix(b"", now, soft=wanted.soft)


def _at_once(count: int) -> Generator[int, None, None]:
    yield count


async def purged(work: Generator[int, None, None], clock: IReactorTime) -> int:
    """Do all pieces, with pauses; how many answers."""
    count = 0
    with closing(work):
        for piece in work:
            count += piece
            await deferLater(clock, PAUSE_S)
    return count


def add_purging(app: Klein, store: AnswerStore, counts: CacheCounts, token: AdminToken, clock: IReactorTime) -> None:
    """Give ``app`` the calls."""
    places = Places(AT_ONCE, WAITING)

    @app.route("/purge", methods=["POST"])
    def purge_call(request: IRequest) -> Deferred[bytes]:
        token.check(request)
        wanted = read_json(request, Purge)
        try:
            work = pieces(store, wanted, clock.seconds())
        except ValueError as error:
            raise Unprocessable(str(error)) from error
        return places.run(lambda: Deferred.fromCoroutine(purged(work, clock))).addCallback(
            lambda count: json_answer(request, {"purged": count, "soft": wanted.soft}, fields=FIELDS)
        )

    @app.route("/http-cache", methods=["GET"])
    def look(request: IRequest) -> bytes:
        answer: dict[str, Any] = dict(as_json(store, counts))
        return json_answer(request, answer, fields=FIELDS)
