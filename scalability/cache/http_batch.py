"""Many keys in one request.

    POST /cache-batch/get {"keys": ["a", "b", "c"]}
    -> {"values": {"a": 1}, "ttls": {"a": 29.9}, "missing": ["b"], "failed": {"c": {"error": "conflict", "message": "..."}}}

    POST /cache-batch/set {"entries": [{"key": "a", "value": 1, "ttl": 5, "if_absent": true}, ...]}
    -> {"stored": 1, "results": [{"status": "stored", "expires_at": 1700000005.0}, {"status": "exists"}, ...]}

A batch that is malformed changes nothing. One that is well formed is done in one turn, so that nobody sees half of it; each
entry has its own outcome. A key in ``missing`` is not kept; a null in ``values`` was written. Keys without end have no member in ``ttls``.
"""

from typing import Annotated, Any

import msgspec
from klein import Klein
from twisted.web.iweb import IRequest

from scalability.api.json import encoded_answer, json_answer, read_json
from scalability.cache.config import MAX_TTL_S, CacheOptions
from scalability.cache.entries import Entries
from scalability.cache.json_text import json_of
from scalability.cache.keys import key_bytes
from scalability.errors import Conflict
from scalability.ttlcache import Outcome, TTLCache

MAX_BATCH = 1000
"""Keys or entries in one request."""
MAX_ANSWER_BYTES = 4 << 20
"""Values in one answer, together; the keys behind are ``failed`` as ``batch_too_large``, and may be asked for by themselves.
(What a request brings is bounded by the length of its body, 1 MiB.)"""

_TOO_LARGE = {"error": "batch_too_large", "message": f"the values before it have {MAX_ANSWER_BYTES} bytes already; ask for it again"}


class Read(msgspec.Struct, forbid_unknown_fields=True):
    """The body of ``POST /cache-batch/get``. A key that stands there twice is told once."""

    keys: Annotated[list[str], msgspec.Meta(max_length=MAX_BATCH)]


class BatchEntry(msgspec.Struct, forbid_unknown_fields=True):
    """One entry of ``POST /cache-batch/set``: the same members as in ``POST /cache/<key>``, and the key."""

    key: str
    value: msgspec.Raw
    ttl: Annotated[float, msgspec.Meta(gt=0, le=MAX_TTL_S)] | None = None
    if_absent: bool = False


class Writes(msgspec.Struct, forbid_unknown_fields=True):
    """The body of ``POST /cache-batch/set``. Of two entries with one key the later counts."""

    entries: Annotated[list[BatchEntry], msgspec.Meta(max_length=MAX_BATCH)]


class _Answer(msgspec.Struct):
    values: dict[str, msgspec.Raw]
    ttls: dict[str, float]
    missing: list[str]
    failed: dict[str, dict[str, str]]


def add_batches(app: Klein, entries: Entries, options: CacheOptions) -> None:
    """Give ``app`` the two calls."""
    encode = msgspec.json.Encoder().encode

    @app.route("/cache-batch/get", methods=["POST"])
    def read_batch(request: IRequest) -> bytes:
        keys = dict.fromkeys(read_json(request, Read).keys)
        names = [key_bytes(key, f"keys[{at}]: ") for at, key in enumerate(keys)]
        return encoded_answer(request, encode(_read(entries.cache, keys, names, entries.now())))

    @app.route("/cache-batch/set", methods=["POST"])
    def write_batch(request: IRequest) -> bytes:
        writes = read_json(request, Writes).entries
        names = [key_bytes(entry.key, f"entries[{at}]: ") for at, entry in enumerate(writes)]
        now = entries.now()
        results = [_write(entries, name, entry, now, options.ttl_s) for name, entry in zip(names, writes, strict=True)]
        return json_answer(request, {"stored": sum(one["status"] == "stored" for one in results), "results": results})


def _read(cache: TTLCache[bytes, bytes], keys: dict[str, None], names: list[bytes], now: float) -> _Answer:
    answer = _Answer({}, {}, [], {})
    answered = 0
    for key, name in zip(keys, names, strict=True):
        if answered > MAX_ANSWER_BYTES:
            answer.failed[key] = _TOO_LARGE
            continue
        value = cache.get(name, now)
        expires_at = None if value is None else cache.expires_at(name, now)
        if value is None or expires_at is None:
            answer.missing.append(key)
            continue
        try:
            text = json_of(value)
        except Conflict as error:
            answer.failed[key] = {"error": error.code, "message": str(error)}
            continue
        if answered + len(text) > MAX_ANSWER_BYTES and answered:
            answer.failed[key] = _TOO_LARGE
            continue
        answered += len(text)
        answer.values[key] = msgspec.Raw(text)
        if expires_at != float("inf"):
            answer.ttls[key] = round(expires_at - now, 3)
    return answer


def _write(entries: Entries, name: bytes, entry: BatchEntry, now: float, default_ttl_s: float) -> dict[str, Any]:
    value = bytes(entry.value)
    ttl_s = default_ttl_s if entry.ttl is None else entry.ttl
    outcome = entries.set(name, value, now, ttl_s, if_absent=entry.if_absent)
    if outcome is Outcome.STORED:
        return {"status": outcome.value, "expires_at": now + ttl_s}
    return {"status": outcome.value}
