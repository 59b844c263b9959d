"""PURE. The entity tag of an encoded body, and the way back (RFC 9110 section 8.8).

Two codings of a representation must not share a strong tag (section 8.8.3.3), and one that is made anew for each answer is not the
same byte for byte: the tag is made weak, and gets the coding's name: ``"v1"`` becomes ``W/"v1-gzip"``. Weak tags never let anybody
combine ranges of two such bodies.
"""

import re
from collections.abc import Sequence
from typing import Final

_TAG: Final = re.compile(rb"(W/)?\"([!\x23-\x7e\x80-\xff]*+)\"")
_LIST: Final = re.compile(rb"[ \t,]*+((?:W/)?\"[!\x23-\x7e\x80-\xff]*+\")[ \t]*+(?=,|\Z)")


def encoded_tag(tag: bytes, coding: bytes) -> bytes | None:
    """The tag of the body in ``coding`` when ``tag`` is that of the body itself; None for what is no entity tag."""
    match = _TAG.fullmatch(tag)
    return None if match is None else b'W/"%b-%b"' % (match[2], coding)


class Condition:
    """What a request's If-None-Match asks, when the answer may be sent in ``coding``.

    ``value`` is what to ask the server behind us: the tags as they came, and for each of ours the one that it stands for, in its strong
    and in its weak form. ``restore`` turns the tag of its 304 into the one that the client has.
    """

    __slots__ = ("_coding", "_ours", "value")

    def __init__(self, values: Sequence[bytes], coding: bytes) -> None:
        tags = [match[1] for value in values for match in _LIST.finditer(value)]
        self._coding = coding
        suffix = b'-%b"' % coding
        self._ours = {tag[3 : -len(suffix)] for tag in tags if tag.startswith(b'W/"') and tag.endswith(suffix)}
        """The opaque tags behind those of ours."""
        more = [form % opaque for opaque in sorted(self._ours) for form in (b'"%b"', b'W/"%b"')]
        self.value = b", ".join([*tags, *more])

    def __bool__(self) -> bool:
        """Whether one of ours is in it."""
        return bool(self._ours)

    def restore(self, tag: bytes) -> bytes:
        """The tag of a 304 as the client has it."""
        match = _TAG.fullmatch(tag)
        return tag if match is None or match[2] not in self._ours else b'W/"%b-%b"' % (match[2], self._coding)
