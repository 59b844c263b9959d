"""PURE. Which content coding a client gets (RFC 9110 section 12.5.3)."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

IDENTITY: Final = b"identity"

_ELEMENT: Final = re.compile(rb"[ \t]*+([!#$%&'*+\-.^`|~0-9A-Za-z_]++)[ \t]*+(?:;[ \t]*+[qQ]=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)[ \t]*+)?")
_ALIASES: Final = {b"x-gzip": b"gzip"}
"""RFC 9110 section 8.4.1.3."""


class Choice(NamedTuple):
    """``coding`` to send, ``identity`` for none; ``identity_refused``: the client does not want a body without a coding."""

    coding: bytes
    identity_refused: bool = False


def choose(values: Sequence[bytes], offered: tuple[bytes, ...]) -> Choice:
    """The best of ``offered`` (best first) for the values of a request's Accept-Encoding fields.

    The highest weight wins, then the order of ``offered``; a coding that is as welcome as none at all is preferred to none.
    Without the field, and where nothing fits, the answer is ``identity``: a server may always disregard the field. Elements that
    are malformed count for nothing.
    """
    if not values:
        return Choice(IDENTITY)
    return _choose(values[0] if len(values) == 1 else b",".join(values), offered)


@lru_cache(maxsize=512)  # browsers send a handful of values
def _choose(value: bytes, offered: tuple[bytes, ...]) -> Choice:
    weights: dict[bytes, float] = {}
    for element in value.split(b","):
        match = _ELEMENT.fullmatch(element)
        if match is not None:
            name = match[1].lower()
            weights.setdefault(_ALIASES.get(name, name), float(match[2] or b"1"))
    rest = weights.get(b"*", 0.0)
    identity = weights.get(IDENTITY, weights.get(b"*"))
    best, best_weight = IDENTITY, 0.0
    for coding in offered:
        weight = weights.get(coding, rest)
        if weight > best_weight:
            best, best_weight = coding, weight
    if identity is not None and identity > best_weight:
        best = IDENTITY
    return Choice(best, identity == 0.0)
