"""PURE. Which answers are sent in a content coding, and what their heads say then (RFC 9110 sections 8.4, 8.8, 12.5.3, 12.5.5).

Left as they are: answers without content, with a coding or a range already, with ``no-transform`` (RFC 9111 section 5.2.2.6) or a
digest of their bytes (RFC 9530), those of other media types, and those known to be small. Whatever depends on what the client accepts
says ``Vary: Accept-Encoding``.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from scalability.gateway.transform.accept_encoding import IDENTITY, Choice
from scalability.gateway.transform.entity_tags import Condition, encoded_tag
from scalability.http1.fields import Field
from scalability.http1.response_head import ResponseHead

MIN_BYTES: Final = 1024
"""Smaller bodies gain nothing: they fit into one packet as they are."""

COMPRESSIBLE: Final = frozenset(
    (
        b"application/atom+xml",
        b"application/graphql-response+json",
        b"application/javascript",
        b"application/json",
        b"application/json-seq",
        b"application/jsonl",
        b"application/manifest+json",
        b"application/vnd.api+json",
        b"application/vnd.ms-fontobject",
        b"application/wasm",
        b"application/x-javascript",
        b"application/x-ndjson",
        b"application/x-yaml",
        b"application/yaml",
        b"application/xml",
        b"font/otf",
        b"font/ttf",
        b"image/bmp",
        b"image/svg+xml",
        b"image/x-icon",
        b"image/vnd.microsoft.icon",
    )
)
"""Besides ``text/*`` and everything that ends in ``+json``, ``+xml`` or ``+text``."""

_DIGESTS: Final = (b"content-digest", b"content-md5", b"digest")
"""Fields about the very bytes of the content."""


def compressible(content_type: bytes | None, types: frozenset[bytes] = COMPRESSIBLE) -> bool:
    """Whether bodies of that Content-Type become smaller. ``types`` may have ``image/*`` and the like."""
    if content_type is None:
        return False
    kind = content_type.partition(b";")[0].strip(b" \t").lower()
    if kind in types or kind.startswith(b"text/"):
        return True
    return kind.endswith((b"+json", b"+xml", b"+text")) or kind.partition(b"/")[0] + b"/*" in types


class Coded(NamedTuple):
    """What becomes of an answer: ``coding`` (``identity``: none), its ``fields``, and whether Content-Length must go."""

    coding: bytes
    fields: Sequence[Field]


def code(
    head: ResponseHead,
    choice: Choice,
    condition: Condition | None = None,
    *,
    min_bytes: int = MIN_BYTES,
    types: frozenset[bytes] = COMPRESSIBLE,
    head_only: bool = False,
) -> Coded:
    """How to send the answer with ``head`` to a client with that ``choice``, whose If-None-Match was rewritten by ``condition``.

    With ``head_only`` (the request was HEAD) the fields are those that a GET would have got. The caller leaves Content-Length out of an
    answer with a coding.
    """
    fields = head.fields
    status = head.status
    if status == 304:
        return Coded(IDENTITY, _with_vary(_restored(fields, condition)))
    if status < 200 or status in (204, 205, 206) or _fixed(head) or not compressible(head.get(b"content-type"), types):
        return Coded(IDENTITY, fields)
    length = head.content_length
    if length is not None and (length < min_bytes and not (choice.identity_refused and (length or head_only))):
        return Coded(IDENTITY, fields)
    if choice.coding == IDENTITY:
        return Coded(IDENTITY, _with_vary(fields))
    return Coded(choice.coding, _with_vary(_encoded(fields, choice.coding)))


def _fixed(head: ResponseHead) -> bool:
    """Whether the bytes must stay as they are."""
    index = head.index
    if b"content-encoding" in index or b"content-range" in index or any(name in index for name in _DIGESTS):
        return True
    if b"cache-control" not in index:
        return False
    directives = b",".join(head.get_all(b"cache-control")).lower().split(b",")
    return any(directive.strip(b" \t") == b"no-transform" for directive in directives)


def _encoded(fields: Sequence[Field], coding: bytes) -> list[Field]:
    """The fields of the encoded body: it has no ranges, and a tag of its own."""
    kept: list[Field] = []
    for name, value in fields:
        lower = name.lower()
        if lower == b"etag":
            tag = encoded_tag(value, coding)
            if tag is not None:
                kept.append((name, tag))
        elif lower not in (b"content-length", b"accept-ranges"):
            kept.append((name, value))
    kept.append((b"Content-Encoding", coding))
    return kept


def _restored(fields: Sequence[Field], condition: Condition | None) -> Sequence[Field]:
    if not condition:
        return fields
    return [(name, condition.restore(value) if name.lower() == b"etag" else value) for name, value in fields]


def _with_vary(fields: Sequence[Field]) -> list[Field]:
    named = {part.strip(b" \t").lower() for name, value in fields if name.lower() == b"vary" for part in value.split(b",")}
    return [*fields] if named & {b"*", b"accept-encoding"} else [*fields, (b"Vary", b"Accept-Encoding")]
