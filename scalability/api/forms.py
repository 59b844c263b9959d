"""HTML forms in request bodies: ``application/x-www-form-urlencoded`` and ``multipart/form-data`` (RFC 7578). PURE.

twisted.web has the standard library's reader of MIME do the latter. That one reads mails: a field of a part's head costs it the square
of the field's length, so that a megabyte of semicolons held everybody else up for minutes; and parts may nest. Here a form is
read once from its beginning to its end, and whatever is no form raises ClientError (400).
"""

import re
from binascii import Error as NotBase64
from binascii import a2b_base64, a2b_qp
from typing import Final
from urllib.parse import unquote_to_bytes

from scalability.errors import ClientError

MAX_FORM_FIELDS: Final = 10_000
"""Of one form; reading more would hold everybody else up."""
MAX_PART_HEAD_BYTES: Final = 8192
"""Of the lines above a field's value in ``multipart/form-data``: its name, and perhaps that of a file."""

_PARAMETER: Final = rb";[ \t]*+([^\s=;\"]++)[ \t]*+=[ \t]*+(?:\"((?:[^\"\\]|\\.)*+)\"|([^\s;\"]*+))[ \t]*+"
_EACH_PARAMETER: Final = re.compile(_PARAMETER)
_PARAMETERS: Final = re.compile(rb"[^;\"]*+(?:" + _PARAMETER + rb")*+;?[ \t]*+")
_ESCAPED: Final = re.compile(rb'\\(["\\])')
_MAX_BOUNDARY_BYTES: Final = 70


def arguments(query: bytes) -> dict[bytes, list[bytes]]:
    """What a query says, by name, in its order: decoded to bytes, since nothing promises that they are text.

    (urllib's ``parse_qs`` fails on bytes outside of ASCII; twisted.web's also takes ``;`` for a separator.)
    """
    said: dict[bytes, list[bytes]] = {}
    for pair in query.replace(b"+", b" ").split(b"&"):
        if pair:
            name, _, value = pair.partition(b"=")
            said.setdefault(unquote_to_bytes(name), []).append(unquote_to_bytes(value))
    return said


def form_fields(content_type: bytes, body: bytes) -> dict[bytes, list[bytes]]:
    """The fields of the form in ``body``, as twisted.web names them; nothing when the body is something else. Raises ClientError."""
    kind = content_type.partition(b";")[0].strip().lower()
    if kind == b"application/x-www-form-urlencoded":
        if body.count(b"&") >= MAX_FORM_FIELDS:
            raise _too_many()
        return arguments(body)
    return _multipart(content_type, body) if kind == b"multipart/form-data" else {}


def _multipart(content_type: bytes, body: bytes) -> dict[bytes, list[bytes]]:
    boundary = _parameters(content_type).get(b"boundary", b"")
    if not 0 < len(boundary) <= _MAX_BOUNDARY_BYTES:
        raise _no_form()
    # RFC 2046 section 5.1.1: a line of its own, whose line end belongs to it; what follows the last one is nobody's
    delimiter = re.compile(rb"\r\n--" + re.escape(boundary) + rb"(--)?[ \t]*+(?=\r\n|\Z)")
    data = b"\r\n" + body
    fields: dict[bytes, list[bytes]] = {}
    begin = -1
    for number, line in enumerate(delimiter.finditer(data)):
        if number > MAX_FORM_FIELDS:
            raise _too_many()
        if begin >= 0:
            _part(data, begin, line.start(), fields)
        if line[1] is not None:
            return fields
        begin = line.end()
    raise _no_form()


def _part(data: bytes, begin: int, end: int, fields: dict[bytes, list[bytes]]) -> None:
    """Add what stands in ``data`` between two delimiters; a part without a name is passed over."""
    head_end = data.find(b"\r\n\r\n", begin, min(end, begin + MAX_PART_HEAD_BYTES))
    if head_end < 0:
        raise _no_form()
    name = coding = b""
    for line in data[begin:head_end].split(b"\r\n"):
        field, _, value = line.partition(b":")
        match field.strip().lower():
            case b"content-disposition":
                name = _parameters(value).get(b"name", b"")
            case b"content-transfer-encoding":
                coding = value.strip().lower()
    if name:
        fields.setdefault(name, []).append(_decoded(coding, data[head_end + 4 : end]))


def _parameters(value: bytes) -> dict[bytes, bytes]:
    """The parameters behind a field's value, by lower-case name; of two with the same name the first."""
    if _PARAMETERS.fullmatch(value) is None:
        raise _no_form()
    said: dict[bytes, bytes] = {}
    for name, quoted, plain in _EACH_PARAMETER.findall(value):
        # browsers escape nothing else, and write a backslash as it is
        said.setdefault(name.lower(), plain or _ESCAPED.sub(rb"\1", quoted))
    return said


def _decoded(coding: bytes, value: bytes) -> bytes:
    """RFC 7578 section 4.7 has senders leave codings alone; some do not."""
    if coding == b"base64":
        try:
            return a2b_base64(value)
        except NotBase64:
            raise _no_form() from None
    return a2b_qp(value) if coding == b"quoted-printable" else value


def _too_many() -> ClientError:
    return ClientError(f"the form has more than {MAX_FORM_FIELDS} fields")


def _no_form() -> ClientError:
    return ClientError("the body is not multipart/form-data, as its Content-Type says")
