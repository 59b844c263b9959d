"""JSON in and out: bodies that are typed on arrival, answers that are encoded once."""

from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec
from twisted.web.iweb import IRequest

from scalability.errors import BadJSON, MethodNotAllowed, ScalelabError, UnsupportedContentType

T = TypeVar("T")

MAX_BODY_BYTES = 1 << 20

_encode = msgspec.json.Encoder().encode


def read_json(request: IRequest, wanted: type[T]) -> T:
    """Decode the request's body as ``wanted`` (a msgspec type).

    Raises UnsupportedContentType unless the type is JSON (or absent), BadJSON with the position of a
    syntax error or the path of a wrong member.
    """
    kind = (request.getHeader("content-type") or "application/json").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise UnsupportedContentType(f"the body must be application/json, not {kind[:64]}")
    body = request.content.read()
    try:
        body.decode()  # msgspec skips over the text of a Raw member
        return msgspec.json.decode(body, type=wanted)
    except msgspec.ValidationError as error:
        raise BadJSON(f"the body is JSON, but not what is wanted here: {error}".replace("`", "")) from error
    except msgspec.DecodeError as error:
        raise BadJSON(f"the body is not JSON: {error}") from error
    except UnicodeDecodeError as error:
        raise BadJSON(f"the body is not UTF-8 (byte {error.start})") from error
    except RecursionError as error:
        raise BadJSON("the body is JSON nested too deeply") from error


def json_answer(request: IRequest, body: Any, *, status: int = 200, fields: Iterable[tuple[bytes, bytes]] = ()) -> bytes:
    """Set status and fields of the answer and return ``body`` encoded, for a Klein route to return."""
    request.setResponseCode(status)
    request.setHeader(b"content-type", b"application/json")
    for name, value in fields:
        request.setHeader(name, value)
    return _encode(body)


def error_answer(request: IRequest, error: ScalelabError) -> bytes:
    """The answer for ``error``: its status, ``{"error": code, "message": sentence}``, Retry-After and Allow where they belong."""
    fields = []
    if error.retry_after_s is not None:
        fields.append((b"retry-after", b"%d" % error.retry_after_s))
    if isinstance(error, MethodNotAllowed) and error.allow:
        fields.append((b"allow", ", ".join(error.allow).encode()))
    return json_answer(request, {"error": error.code, "message": str(error)}, status=error.status, fields=fields)
