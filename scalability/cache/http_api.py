"""The cache over HTTP: ``/cache/<key>``, ``/stats``, ``/health``; many keys at once are in ``http_batch``, purging in ``http_purge``.

A key is the path behind ``/cache/``, percent-decoded once: any text, slashes included, of at most ``MAX_KEY_BYTES`` bytes
of UTF-8. A value is any JSON; it is kept and given back as the text it came as, so that no number loses a digit (what was
written over RESP: ``json_text``). With a value comes a field ``Cache-TTL``: the seconds that it will still be kept for, or ``never``
where it has no end. That tells a null that was written from a missing key.
"""

from math import inf
from typing import Annotated

import msgspec
from klein import Klein
from twisted.internet.interfaces import IReactorTime
from twisted.web.iweb import IRequest
from werkzeug.routing import PathConverter

from scalability.api.json import json_answer, read_json
from scalability.cache.config import MAX_TTL_S, CacheOptions
from scalability.cache.entries import Entries
from scalability.cache.http_batch import add_batches
from scalability.cache.http_purge import add_purging
from scalability.cache.json_text import json_of
from scalability.cache.keys import key_bytes
from scalability.errors import BodyTooLarge, Conflict
from scalability.ttlcache import Outcome


class Write(msgspec.Struct, forbid_unknown_fields=True):
    """The body of ``POST /cache/<key>``. Unknown members are refused: a misspelt ``ttl`` would live 30 s in silence."""

    value: msgspec.Raw
    ttl: Annotated[float, msgspec.Meta(gt=0, le=MAX_TTL_S)] | None = None
    if_absent: bool = False


class _Key(PathConverter):
    """Werkzeug's ``path``, for every key: with slashes in front, at the end and twice in a row, and with line ends."""

    regex = r"[\s\S]+?"
    part_isolating = False


def cache_app(entries: Entries, clock: IReactorTime, options: CacheOptions) -> Klein:
    """The Klein app in front of ``entries``. ``clock`` times the pieces of long work."""
    app = Klein()
    app.url_map.merge_slashes = False
    app.url_map.converters["key"] = _Key
    now, cache = entries.now, entries.cache

    @app.route("/cache/<key:key>", methods=["GET"])
    def read(request: IRequest, key: str) -> bytes:
        name, read_at = key_bytes(key), now()
        value = cache.get(name, read_at)
        text = b"null" if value is None else json_of(value)
        request.setHeader(b"content-type", b"application/json")
        expires_at = None if value is None else cache.expires_at(name, read_at)
        if expires_at is not None:
            left = b"never" if expires_at == inf else b"%.3f" % max(0.0, expires_at - read_at - 0.0005)  # rounded down
            request.setHeader(b"cache-ttl", left)
        return b'{"value":%b}' % text

    @app.route("/cache/<key:key>", methods=["POST"])
    def write(request: IRequest, key: str) -> bytes:
        name = key_bytes(key)
        body = read_json(request, Write)
        value = bytes(body.value)
        ttl_s = options.ttl_s if body.ttl is None else body.ttl
        started = now()
        outcome = entries.set(name, value, started, ttl_s, if_absent=body.if_absent)
        if outcome is Outcome.EXISTS:
            raise Conflict("the key exists")
        if outcome is Outcome.TOO_LARGE:
            raise BodyTooLarge("the value is larger than this cache keeps")
        return json_answer(request, {"status": "ok", "expires_at": started + ttl_s})

    @app.route("/cache/<key:key>", methods=["DELETE"])
    def delete(request: IRequest, key: str) -> bytes:
        return json_answer(request, {"status": "ok", "deleted": entries.delete(key_bytes(key), now())})

    @app.route("/stats", methods=["GET"])
    def stats(request: IRequest) -> bytes:
        bounds = {"max_bytes": cache.max_bytes, "max_entries": cache.max_entries, "ttl_s": options.ttl_s}
        return json_answer(request, {"entries": len(cache), "bytes": cache.bytes, **cache.stats.as_dict(), **bounds})

    @app.route("/health", methods=["GET"])
    def health(request: IRequest) -> bytes:
        return json_answer(request, {"status": "ok", "entries": len(cache), "bytes": cache.bytes})

    add_batches(app, entries, options)
    add_purging(app, entries, clock, now)
    return app
