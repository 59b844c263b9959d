"""Field lines, strictly: from bytes to names and values, and what those say that frame a message (RFC 9110 section 5, RFC 9112 section 6).

Cost matters here: a browser-sized block takes a handful of operations in C (one ``translate``, one ``findall``, a dictionary).
"""

import re
from typing import Final

from scalability.errors import BadMessage
from scalability.http1.limits import Limits

Field = tuple[bytes, bytes]
"""A name as received, and a value without the blanks around it."""

TOKEN: Final = rb"!#$%&'*+\-.^`|~0-9A-Za-z"
"""The octets of a token, but for the underscore, within the brackets of a pattern (RFC 9110 section 5.6.2)."""
# Possessive repeats (*+, ++) and one way to match each line: a hostile line costs its length, never its square.
# A value with blanks at its end does not match and goes the slow way: testing here is cheaper than stripping each.
_FIELD: Final = re.compile(rb"^([" + TOKEN + rb"]++):[ \t]*+(.*)(?<![ \t])\r\n", re.MULTILINE)
_FIELD_WITH_UNDERSCORE: Final = re.compile(rb"^([" + TOKEN + rb"_]++):[ \t]*+(.*)(?<![ \t])\r\n", re.MULTILINE)
NAME: Final = re.compile(rb"[" + TOKEN + rb"_]++")
"""A token: a field's name, a method."""
_DIGITS: Final = re.compile(rb"[0-9]{1,18}")
_LEGAL: Final = bytes([9, *range(32, 127), *range(128, 256)])
"""Octets of a field value or start line: HTAB, SP, VCHAR, obs-text (RFC 9110 section 5.5)."""
_USUAL_OPTIONS: Final = {value: frozenset([value.lower()]) for value in (b"keep-alive", b"Keep-Alive", b"close", b"Close")}
NO_OPTIONS: Final[frozenset[bytes]] = frozenset()
"""What a message without Connection has of ``connection_options``."""


class Fields:
    """What a field block says, apart from the start line above it."""

    __slots__ = ("fields", "index", "repeats")

    def __init__(self, fields: tuple[Field, ...], index: dict[bytes, bytes], repeats: dict[bytes, list[bytes]] | None) -> None:
        self.fields: Final = fields
        self.index: Final = index
        self.repeats: Final = repeats

    def get(self, name: bytes) -> bytes | None:
        """The first value of the field with the lower-case ``name``, or None."""
        return self.index.get(name)

    def get_all(self, name: bytes) -> list[bytes]:
        """Every value of the field with the lower-case ``name``, in the order received."""
        if self.repeats is not None and name in self.repeats:
            return list(self.repeats[name])
        value = self.index.get(name)
        return [] if value is None else [value]


def parse_trailer_fields(block: bytes, limits: Limits) -> tuple[Field, ...]:
    """Read the field lines of a trailer section, each with its CRLF, without the empty line. Raises BadMessage."""
    return parse_fields(block, limits, request=True).fields


def parse_fields(block: bytes, limits: Limits, *, request: bool) -> Fields:
    """Read field lines, each with its CRLF, without the empty line; those of a request (or trailer) more strictly. Raises BadMessage."""
    # What is left without the legal octets must be the line ends. Together with one match per line this proves
    # that there is no other CR or LF: each match takes one CRLF, and there are as many of either as matches.
    line_ends = block.translate(None, _LEGAL)
    count = len(line_ends) >> 1
    if count > limits.max_fields:
        raise BadMessage(f"There are more than {limits.max_fields} fields.", status=431, code="head_too_large")
    pattern = _FIELD if request and not limits.underscore_names else _FIELD_WITH_UNDERSCORE
    found: list[Field] = pattern.findall(block)
    if len(found) != count or line_ends != b"\r\n" * count:
        if line_ends != b"\r\n" * count or block.count(b"\r\n") != count:
            raise BadMessage("There is a control character, or a CR or LF on its own, in a field.")
        found = _field_by_field(block, limits, request=request)
    index = {name.lower(): value for name, value in found}
    repeats: dict[bytes, list[bytes]] | None = None
    if len(index) != len(found):
        repeats = {}
        for name, value in found:
            repeats.setdefault(name.lower(), []).append(value)
        repeats = {name: values for name, values in repeats.items() if len(values) > 1}
        for name, values in repeats.items():
            index[name] = values[0]
    return Fields(tuple(found), index, repeats)


def _field_by_field(block: bytes, limits: Limits, *, request: bool) -> list[Field]:
    """The slow way, for blocks that are unusual or wrong: says what is wrong, mends what may be mended."""
    found: list[Field] = []
    for line in block.split(b"\r\n")[:-1]:
        if line[:1] in (b" ", b"\t"):
            if request or not found:
                raise BadMessage("A field line is folded.")  # RFC 9112 section 5.2
            name, value = found[-1]
            found[-1] = (name, (value.rstrip(b" \t") + b" " + line.strip(b" \t")).strip(b" \t"))
            continue
        name, colon, value = line.partition(b":")
        if not colon:
            raise BadMessage("A field line has no colon.")
        if not request:
            name = name.rstrip(b" \t")  # RFC 9112 section 5.1: a proxy removes it from answers
        elif name[-1:] in (b" ", b"\t"):
            raise BadMessage("There is white space before a field's colon.")
        if NAME.fullmatch(name) is None:
            raise BadMessage("A field name is not a token.")
        if request and b"_" in name and not limits.underscore_names:
            continue
        found.append((name, value.strip(b" \t")))
    return found


def connection_options(fields: Fields) -> frozenset[bytes]:
    """What Connection, which there is, names, in lower case (RFC 9110 section 7.6.1)."""
    value = fields.index[b"connection"]
    usual = _USUAL_OPTIONS.get(value)
    if fields.repeats is None:
        if usual is not None:
            return usual
    elif b"connection" in fields.repeats:
        value = b",".join(fields.repeats[b"connection"])
    return frozenset([option for part in value.lower().split(b",") if (option := part.strip(b" \t"))])


def content_length(fields: Fields) -> int:
    """The Content-Length, which there is. Raises BadMessage.

    RFC 9110 section 8.6: digits only; a list or repetition of the same number is that number (rule 9).
    """
    value = fields.index[b"content-length"]
    if (fields.repeats is not None and b"content-length" in fields.repeats) or b"," in value:
        values = {part.strip(b" \t") for line in fields.get_all(b"content-length") for part in line.split(b",")}
        if len(values) != 1:
            raise BadMessage("There are different Content-Length values.")
        value = values.pop()
    if _DIGITS.fullmatch(value) is None:
        raise BadMessage("The Content-Length is not a number.")
    return int(value)


def is_chunked(fields: Fields) -> bool:
    """Whether Transfer-Encoding, which there is, says so. Raises BadMessage.

    RFC 9112 section 6.1: True for exactly ``chunked``; everything else is refused (rule 10).
    """
    codings = [part.strip(b" \t").lower() for line in fields.get_all(b"transfer-encoding") for part in line.split(b",")]
    if codings[-1] != b"chunked" or b"" in codings or codings.count(b"chunked") > 1:
        raise BadMessage("Transfer-Encoding does not end in one chunked.")
    if len(codings) > 1:
        raise BadMessage("There is a transfer coding other than chunked.", status=501, code="not_implemented")
    return True
