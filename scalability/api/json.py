"""JSON in and out: bodies that are typed on arrival, answers that are encoded once."""

import re
from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec
from twisted.web.iweb import IRequest

from scalability.errors import BadJSON, ScalelabError, UnsupportedContentType
from scalability.net.failures import error_body, error_fields

T = TypeVar("T")

MAX_BODY_BYTES = 1 << 20
"""The largest body of a request, unless ``mount`` is told otherwise."""

_encode = msgspec.json.Encoder().encode

_JSON_TYPE = re.compile(r"application/(?:json|[!#$%&'*+.^_`|~0-9a-z-]+\+json)[ \t]*(?:;|\Z)", re.IGNORECASE)
_OTHER_CHARSET = re.compile(r";[ \t]*charset=(?!\"?utf-?8\"?[ \t]*(?:;|\Z))", re.IGNORECASE)


def read_json(request: IRequest, wanted: type[T]) -> T:
    """Decode the request's body as ``wanted`` (a msgspec type).

    Raises UnsupportedContentType unless the type is JSON in UTF-8 (or absent), BadJSON with the position of a
    syntax error or the path of a wrong member.
    """
    kind = request.getHeader("content-type")
    if kind is not None and (not _JSON_TYPE.match(kind) or _OTHER_CHARSET.search(kind)):
        raise UnsupportedContentType(f"the body must be application/json in UTF-8, not {kind[:64]}")
    coding = request.getHeader("content-encoding")
    if coding is not None and coding.lower() != "identity":
        raise UnsupportedContentType(f"the body must come without a Content-Encoding, not {coding[:64]}")
    body = request.content.read()
    if not body:
        raise BadJSON("the body is not JSON: it is empty (byte 0)")
    try:
        body.decode()  # msgspec skips over the text of a Raw member, and does not say where a string went wrong
        return msgspec.json.decode(body, type=wanted)
    except UnicodeDecodeError as error:
        raise BadJSON(f"the body is not UTF-8 (byte {error.start})") from error
    except msgspec.DecodeError as error:
        raise BadJSON(_why(body, error)) from error
    except RecursionError as error:
        raise BadJSON("the body is JSON nested too deeply") from error


def _why(body: bytes, error: msgspec.DecodeError) -> str:
    if isinstance(error, msgspec.ValidationError):
        syntax = _syntax_error(body)
        if syntax is None:
            return f"the body is JSON, but not what is wanted here: {error}".replace("`", "")
        error = syntax  # behind the wrong member, but the one to mend first
    why = str(error).removeprefix("JSON is malformed: ")
    if "(byte " not in why:
        why = f"it ends too early (byte {len(body)})"
    return f"the body is not JSON: {why}"


def _syntax_error(body: bytes) -> msgspec.DecodeError | None:
    try:
        msgspec.json.decode(body, type=msgspec.Raw)
    except msgspec.DecodeError as error:
        return error
    except RecursionError:
        pass
    return None


def json_answer(request: IRequest, body: Any, *, status: int = 200, fields: Iterable[tuple[bytes, bytes]] = ()) -> bytes:
    """Set status and fields of the answer and return ``body`` encoded, for a Klein route to return."""
    return encoded_answer(request, _encode(body), status=status, fields=fields)


def encoded_answer(
    request: IRequest,
    body: bytes,
    content_type: bytes = b"application/json",
    *,
    status: int = 200,
    fields: Iterable[tuple[bytes, bytes]] = (),
) -> bytes:
    """Set status and fields of the answer and return ``body``, which is in its final form already.

    With its length said the answer needs no chunks, and goes out in one piece.
    """
    request.setResponseCode(status)
    request.setHeader(b"content-type", content_type)
    request.setHeader(b"content-length", b"%d" % len(body))
    for name, value in fields:
        request.setHeader(name, value)
    return body


def error_answer(request: IRequest, error: ScalelabError) -> bytes:
    """The answer for ``error``: its status and ``{"error": code, "message": sentence}``.

    With Retry-After, Allow (RFC 9110 section 15.5.6) and WWW-Authenticate (section 15.5.2; whoever raises may set a better one before).
    """
    fields = error_fields(error)
    if error.status == 401 and not request.responseHeaders.hasHeader(b"www-authenticate"):
        fields.append((b"WWW-Authenticate", b"Bearer"))
    return encoded_answer(request, error_body(error), status=error.status, fields=fields)
