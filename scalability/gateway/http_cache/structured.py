"""Dictionaries of structured fields (RFC 9651 sections 3.2 and 4.2, which RFC 8941 calls the same): strict, all or nothing. PURE."""

import re
from base64 import b64decode
from collections.abc import Iterable
from typing import Final, NamedTuple


class Token(NamedTuple):
    """A bare word, which a String of the same letters is not."""

    name: bytes


class Decimal(NamedTuple):
    """A number with a fraction, as it was written."""

    digits: bytes


class Opaque(NamedTuple):
    """A value of a kind that no cache directive has: an inner list, bytes, a date, a display string."""

    text: bytes


Item = bool | int | bytes | Token | Decimal | Opaque
"""What a member may be: a Boolean, an Integer, a String (``bytes``, unescaped), and the three above."""

_KEY: Final = re.compile(rb"[a-z*][a-z0-9_\-.*]*+")
_NUMBER: Final = re.compile(rb"-?(?:[0-9]{1,12}\.[0-9]{1,3}|[0-9]{1,15})(?![0-9.])")
_STRING: Final = re.compile(rb'"((?:[ !#-\[\]-~]|\\["\\])*+)"')
_TOKEN: Final = re.compile(rb"[A-Za-z*][!#$%&'*+\-.^_`|~0-9A-Za-z:/]*+")
_BYTES: Final = re.compile(rb":([A-Za-z0-9+/=]*+):")
_BOOLEAN: Final = re.compile(rb"\?([01])")
_DATE: Final = re.compile(rb"@-?[0-9]{1,15}(?![0-9.])")
_DISPLAY: Final = re.compile(rb'%"((?:[ !#$&-~]|%[0-9a-f]{2})*+)"')
_ESCAPED: Final = re.compile(rb"\\(.)")
_SPACES: Final = re.compile(rb" *+")
_BLANKS: Final = re.compile(rb"[ \t]*+")


def parse_dictionary(lines: Iterable[bytes]) -> dict[bytes, Item]:
    """The members of a dictionary field, its lines joined; of a key that comes twice the last counts. Parameters are checked and dropped.

    Raises ValueError for anything that the grammar does not have: no part of such a field may be used.
    """
    text = b", ".join(lines).strip(b" ")
    members: dict[bytes, Item] = {}
    at = 0
    while at < len(text):
        key, at = _take(_KEY, text, at)
        if text[at : at + 1] == b"=":
            value, at = _value(text, at + 1)
        else:
            value, at = True, _parameters(text, at)
        members.pop(key, None)
        members[key] = value
        at = _skip(_BLANKS, text, at)
        if at == len(text):
            return members
        if text[at] != 44:
            raise ValueError("no comma between members")
        at = _skip(_BLANKS, text, at + 1)
        if at == len(text):
            raise ValueError("a comma at the end")
    return members


def _value(text: bytes, at: int) -> tuple[Item, int]:
    if text[at : at + 1] != b"(":
        item, at = _bare_item(text, at)
        return item, _parameters(text, at)
    begin = at
    at += 1
    while True:
        at = _skip(_SPACES, text, at)
        if text[at : at + 1] == b")":
            at += 1
            return Opaque(text[begin:at]), _parameters(text, at)
        _, at = _bare_item(text, at)
        at = _parameters(text, at)
        if text[at : at + 1] not in (b" ", b")"):
            raise ValueError("an inner list is not closed")


def _bare_item(text: bytes, at: int) -> tuple[Item, int]:
    first = text[at : at + 1]
    if first == b'"':
        string, end = _take(_STRING, text, at)
        return _ESCAPED.sub(rb"\1", string[1:-1]), end
    if first in b"-0123456789" and first:
        number, end = _take(_NUMBER, text, at)
        return (Decimal(number) if b"." in number else int(number)), end
    if first == b"?":
        boolean, end = _take(_BOOLEAN, text, at)
        return boolean == b"?1", end
    if first == b":":
        encoded, end = _take(_BYTES, text, at)
        b64decode(encoded[1:-1] + b"=" * (-len(encoded[1:-1]) % 4), validate=True)  # binascii.Error is a ValueError
        return Opaque(encoded), end
    if first == b"@":
        date, end = _take(_DATE, text, at)
        return Opaque(date), end
    if first == b"%":
        display, end = _take(_DISPLAY, text, at)
        return Opaque(display), end
    token, end = _take(_TOKEN, text, at)
    return Token(token), end


def _parameters(text: bytes, at: int) -> int:
    while text[at : at + 1] == b";":
        at = _skip(_SPACES, text, at + 1)
        _, at = _take(_KEY, text, at)
        if text[at : at + 1] == b"=":
            _, at = _bare_item(text, at + 1)
    return at


def _take(pattern: re.Pattern[bytes], text: bytes, at: int) -> tuple[bytes, int]:
    match = pattern.match(text, at)
    if match is None:
        raise ValueError("not a structured field")
    return match.group(), match.end()


def _skip(pattern: re.Pattern[bytes], text: bytes, at: int) -> int:
    match = pattern.match(text, at)
    return at if match is None else match.end()
