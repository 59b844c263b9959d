"""PURE. Fields that a route sets, adds and removes. What frames a message, or is a hop's own, is refused when the configuration is read."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from scalability.gateway.transform.templates import PERSONAL, Template
from scalability.http1.fields import Field
from scalability.http1.forward import HOP_BY_HOP

_NAME: Final = re.compile(r"[!#$%&'*+\-.^`|~0-9A-Za-z_]{1,256}")

_FRAMING: Final = frozenset(name.decode() for name in HOP_BY_HOP) | {"content-length", "trailer", "host", "via", "date"}
_CODING: Final = frozenset(("content-encoding", "content-range"))
_OF_REQUESTS: Final = frozenset(
    ("expect", "max-forwards", "forwarded", "x-real-ip", "x-request-id", "traceparent", "if-range", "range", "accept-encoding")
)
"""What the proxy writes anew itself, and what decides which bytes an answer has."""
_OF_ANSWERS: Final = frozenset(("x-request-id", "age", "cache-status"))


class Rules(NamedTuple):
    """In this order: ``remove``, ``set`` (which replaces every field of its name), ``add``. Names in lower case where they are compared."""

    remove: frozenset[bytes] = frozenset()
    set: tuple[tuple[bytes, Template], ...] = ()
    add: tuple[tuple[bytes, Template], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.remove or self.set or self.add)

    @property
    def variables(self) -> frozenset[str]:
        """The names that its values need."""
        return frozenset(name for _, template in (*self.set, *self.add) for name in template.variables)

    def split(self) -> "tuple[Rules, Rules]":
        """Those that are the same for every client who asks for the same, and the others, which only set."""
        own = {name for name, template in self.set if template.variables & PERSONAL}
        shared = tuple(rule for rule in self.set if rule[0] not in own)
        return self._replace(set=shared), Rules(set=tuple(rule for rule in self.set if rule[0] in own))

    def apply(self, fields: Sequence[Field], values: Mapping[str, bytes]) -> list[Field]:
        """``fields`` by these rules. A field whose value lacks a variable is left out; ``set`` removes it even then."""
        gone = self.remove | {name.lower() for name, _ in self.set}
        kept = [field for field in fields if field[0].lower() not in gone] if gone else list(fields)
        for name, template in (*self.set, *self.add):
            value = template.expand(values)
            if value is not None:
                kept.append((name, value))
        return kept


def request_rules(remove: Sequence[str], set_: Mapping[str, str], add: Mapping[str, str]) -> Rules:
    """Rules for requests. Raises ValueError, saying which name or value is wrong and why."""
    return _rules(remove, set_, add, _refused_in_requests)


def answer_rules(remove: Sequence[str], set_: Mapping[str, str], add: Mapping[str, str]) -> Rules:
    """Rules for answers. Raises ValueError likewise. ``Vary`` may only be added to: whoever took it away would mix up clients.

    What is added must not depend on the client: it would stand in caches.
    """
    if any(name.lower() == "vary" for name in (*remove, *set_)):
        raise ValueError("Vary: can only be added to; without it a cache would answer one client with what is another's")
    rules = _rules(remove, set_, add, _refused_in_answers)
    for name, template in rules.add:
        if template.variables & PERSONAL:
            raise ValueError(f"{name.decode()}: {', '.join(sorted(PERSONAL))} can be set in answers, and not added")
    return rules


def _rules(remove: Sequence[str], set_: Mapping[str, str], add: Mapping[str, str], refused: Callable[[str], bool]) -> Rules:
    for name in (*remove, *set_, *add):
        if _NAME.fullmatch(name) is None:
            raise ValueError(f"{name[:64]!r} is not the name of a field")
        if refused(name.lower()):
            raise ValueError(f"{name}: belongs to the framing of messages or to the proxy itself, and cannot be rewritten")
    return Rules(frozenset(name.lower().encode() for name in remove), _templates(set_), _templates(add))


def _templates(named: Mapping[str, str]) -> tuple[tuple[bytes, Template], ...]:
    found = []
    for name, text in named.items():
        try:
            found.append((name.encode(), Template.parse(text)))
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
    return tuple(found)


def _refused_in_requests(name: str) -> bool:
    return name in _FRAMING or name in _CODING or name in _OF_REQUESTS or name.startswith("x-forwarded-")


def _refused_in_answers(name: str) -> bool:
    return name in _FRAMING or name in _CODING or name in _OF_ANSWERS
