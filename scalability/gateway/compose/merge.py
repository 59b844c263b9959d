"""PURE. JSON of several answers becomes one object. What nobody looks into is passed on byte for byte, numbers and all."""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

Members = dict[str, msgspec.Raw]

_object: Final = msgspec.json.Decoder(Members)
_any: Final = msgspec.json.Decoder(msgspec.Raw)
_encode: Final = msgspec.json.Encoder().encode


class NotMergeable(ValueError):
    """What a part answered cannot be put into an object; says why."""


def members_of(body: bytes, group: str | None, pick: Sequence[str] | None) -> Members:
    """What a part adds to the whole: its members, only those in ``pick`` where there is one; with ``group`` all that under one name.

    Without ``group`` and ``pick`` the body must be an object; in a ``group`` it may be any JSON, unless something is to be picked.
    Raises NotMergeable.
    """
    try:
        body.decode()  # msgspec skips over the text of a Raw value
        if group is not None and pick is None:
            return {group: msgspec.Raw(bytes(_any.decode(body)))}
        members = _object.decode(body)
    except UnicodeDecodeError as error:
        raise NotMergeable("its body is not UTF-8") from error
    except msgspec.ValidationError as error:
        raise NotMergeable("its body is JSON, but no object") from error
    except msgspec.DecodeError as error:
        raise NotMergeable("its body is not JSON") from error
    except RecursionError as error:
        raise NotMergeable("its body is nested too deeply") from error
    if pick is not None:
        members = {name: members[name] for name in pick if name in members}
    return members if group is None else {group: msgspec.Raw(_encode(members))}


def merged(parts: Iterable[Members]) -> bytes:
    """One object of all members, in the order of the parts. A name that comes again keeps its place and gets the later value."""
    whole: Members = {}
    for members in parts:
        whole.update(members)
    return _encode(whole)
