"""Cache-Control of requests and answers (RFC 9111 section 5.2), its extensions of RFC 5861, targeted fields (RFC 9213). PURE.

A directive that is unknown is ignored. One that is known and malformed counts toward not reusing: a lifetime becomes 0, a prohibition
holds, a permission does not. A lifetime that is given twice with different values is 0 too (section 4.2.1 lets a cache consider such an
answer stale). Directives that contradict each other all hold, so that the most restrictive wins.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Protocol

from scalability.gateway.http_cache.structured import parse_dictionary

MAX_DELTA_S: Final = 2**31
"""What larger numbers of seconds are taken for (RFC 9111 section 1.2.2)."""

_MAX_KNOWN_BYTES: Final = 256
"""Of a Cache-Control whose meaning is remembered."""

TARGETS: Final = (b"scalelab-cache-control", b"cdn-cache-control")
"""The targeted fields that this cache obeys, the most applicable first (RFC 9213 section 2.2)."""


class Fields(Protocol):
    """What has field lines: RequestHead, ResponseHead, StoredAnswer."""

    def get(self, name: bytes) -> bytes | None:
        """The first value of the field with the lower-case ``name``, or None."""

    def get_all(self, name: bytes) -> list[bytes]:
        """Every value of the field with the lower-case ``name``, in the order received."""


@dataclass(frozen=True, slots=True)
class RequestDirectives:
    """What a client asks of caches (RFC 9111 section 5.2.1, RFC 5861 section 4). Seconds; None: not asked."""

    no_cache: bool = False
    no_store: bool = False
    only_if_cached: bool = False
    no_transform: bool = False
    max_age: int | None = None
    min_fresh: int | None = None
    max_stale: int | None = None
    """``MAX_DELTA_S`` when it came without an argument: any staleness will do."""
    stale_if_error: int | None = None


@dataclass(frozen=True, slots=True)
class ResponseDirectives:
    """What an answer allows (RFC 9111 section 5.2.2, RFC 5861). Seconds; None: not said. Field names are in lower case."""

    no_store: bool = False
    no_cache: bool = False
    """Without field names; those of the qualified form stand in ``no_cache_fields``."""
    no_cache_fields: frozenset[bytes] = frozenset()
    private: bool = False
    """Without field names; those of the qualified form stand in ``private_fields``."""
    private_fields: frozenset[bytes] = frozenset()
    public: bool = False
    must_revalidate: bool = False
    proxy_revalidate: bool = False
    must_understand: bool = False
    no_transform: bool = False
    max_age: int | None = None
    s_maxage: int | None = None
    stale_while_revalidate: int | None = None
    stale_if_error: int | None = None
    target: bytes = b""
    """The targeted field that all this was read from, in lower case; Cache-Control and Expires are to be ignored then."""

    @property
    def forbids_stale(self) -> bool:
        """Whether it must not be reused stale, whatever else allows that (RFC 9111 section 4.2.4)."""
        return self.no_cache or self.must_revalidate or self.proxy_revalidate or self.s_maxage is not None

    @property
    def shared_with_authorization(self) -> bool:
        """Whether the answer to an authorized request may be stored and reused for others (RFC 9111 section 3.5)."""
        return self.public or self.must_revalidate or self.s_maxage is not None


NOTHING_ASKED: Final = RequestDirectives()
NOTHING_SAID: Final = ResponseDirectives()

_ASKS_NO_CACHE: Final = RequestDirectives(no_cache=True)

_TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_MEMBER: Final = re.compile(rb"(" + _TOKEN + rb")(?:=(?:(" + _TOKEN + rb')|"((?:[^"\\]|\\.)*+)"))?+[ \t]*+(?=,|\Z)')
_NAME: Final = re.compile(_TOKEN)
_WRONG_MEMBER: Final = re.compile(rb'(?:[^,"]|"(?:[^"\\]|\\.)*+")*+')
_ESCAPED: Final = re.compile(rb"\\(.)")


class _Malformed:
    """The argument of a directive that the grammar does not have."""


_MALFORMED: Final = _Malformed()
Argument = bytes | None | _Malformed


def request_directives(head: Fields) -> RequestDirectives:
    """Of a request: its Cache-Control, or without one ``Pragma: no-cache`` (RFC 9111 section 5.4)."""
    lines = head.get_all(b"cache-control")
    if not lines:
        if any(name == b"no-cache" for line in head.get_all(b"pragma") for name, _ in _members([line])):
            return _ASKS_NO_CACHE
        return NOTHING_ASKED
    said = _grouped(_members(lines))
    return RequestDirectives(
        no_cache=b"no-cache" in said,
        no_store=b"no-store" in said,
        only_if_cached=b"only-if-cached" in said,
        no_transform=b"no-transform" in said,
        max_age=_limit(said, b"max-age"),
        min_fresh=_least(said, b"min-fresh"),
        max_stale=_permission(said, b"max-stale", without_argument=MAX_DELTA_S),
        stale_if_error=_permission(said, b"stale-if-error"),
    )


def response_directives(head: Fields, targets: Sequence[bytes] = TARGETS) -> ResponseDirectives:
    """Of an answer: the first of ``targets`` that is there, valid and not empty, else Cache-Control. Pragma has no meaning in answers."""
    for target in targets:
        lines = head.get_all(target)
        if lines:
            try:
                members = [(name, _argument_of(item)) for name, item in parse_dictionary(lines).items() if item is not False]
            except ValueError:
                continue
            if members:
                return _of_answer(members, target)
    lines = head.get_all(b"cache-control")
    if not lines:
        return NOTHING_SAID
    # servers say the same again and again
    return _of_line(lines[0]) if len(lines) == 1 and len(lines[0]) <= _MAX_KNOWN_BYTES else _of_answer(_members(lines), b"")


@lru_cache(1024)
def _of_line(line: bytes) -> ResponseDirectives:
    return _of_answer(_members([line]), b"")


def delta_seconds(argument: bytes) -> int | None:
    """Digits as seconds, at most ``MAX_DELTA_S`` however many there are; None for anything else."""
    if not argument.isdigit():
        return None
    digits = argument.lstrip(b"0")
    return min(int(digits or b"0"), MAX_DELTA_S) if len(digits) <= 10 else MAX_DELTA_S


def _of_answer(members: Iterable[tuple[bytes, Argument]], target: bytes) -> ResponseDirectives:
    said = _grouped(members)
    no_cache, no_cache_fields = _qualified(said, b"no-cache")
    private, private_fields = _qualified(said, b"private")
    return ResponseDirectives(
        no_store=b"no-store" in said,
        no_cache=no_cache,
        no_cache_fields=no_cache_fields,
        private=private,
        private_fields=private_fields,
        public=None in said.get(b"public", ()),
        must_revalidate=b"must-revalidate" in said,
        proxy_revalidate=b"proxy-revalidate" in said,
        must_understand=None in said.get(b"must-understand", ()),
        no_transform=b"no-transform" in said,
        max_age=_limit(said, b"max-age"),
        s_maxage=_limit(said, b"s-maxage"),
        stale_while_revalidate=_permission(said, b"stale-while-revalidate"),
        stale_if_error=_permission(said, b"stale-if-error"),
        target=target,
    )


def _members(lines: Iterable[bytes]) -> Iterator[tuple[bytes, Argument]]:
    """The directives of a field: names in lower case, arguments unquoted. Costs a line's length, whatever is in it."""
    for line in lines:
        at = 0
        while at < len(line):
            if line[at] in b", \t":
                at += 1
                continue
            match = _MEMBER.match(line, at)
            if match is not None:
                name, token, quoted = match.groups()
                yield name.lower(), token if quoted is None else _ESCAPED.sub(rb"\1", quoted)
                at = match.end()
                continue
            match = _WRONG_MEMBER.match(line, at)
            if match is None or (match.end() < len(line) and line[match.end()] != 44):
                # A quote that is never closed: it hides no prohibition behind it, and nothing there permits anything
                for part in line[at:].split(b","):
                    name_match = _NAME.match(part.strip(b" \t"))
                    if name_match is not None:
                        yield name_match.group().lower(), _MALFORMED
                break
            name_match = _NAME.match(line, at)
            if name_match is not None:
                yield name_match.group().lower(), _MALFORMED
            at = max(match.end(), at + 1)


def _argument_of(item: object) -> Argument:
    """A structured field's item as the argument that it stands for (RFC 9213 section 2.1)."""
    if item is True:
        return None
    if isinstance(item, int):
        return b"%d" % item
    if isinstance(item, bytes) and not item.isdigit():
        return item
    # no directive has a Token, a Decimal or digits in a String: values of another type are not consumed (RFC 9213 section 2.1)
    return _MALFORMED


def _grouped(members: Iterable[tuple[bytes, Argument]]) -> dict[bytes, list[Argument]]:
    said: dict[bytes, list[Argument]] = {}
    for name, argument in members:
        said.setdefault(name, []).append(argument)
    return said


def _number(argument: Argument) -> int | None:
    return delta_seconds(argument) if isinstance(argument, bytes) else None


def _limit(said: dict[bytes, list[Argument]], name: bytes) -> int | None:
    """A lifetime: None when not given, 0 when malformed or given with different values."""
    if name not in said:
        return None
    numbers = {_number(argument) for argument in said[name]}
    return 0 if len(numbers) > 1 else numbers.pop() or 0


def _least(said: dict[bytes, list[Argument]], name: bytes) -> int | None:
    """A demand: the largest of several, and the largest possible when malformed."""
    if name not in said:
        return None
    return max(MAX_DELTA_S if number is None else number for number in map(_number, said[name]))


def _permission(said: dict[bytes, list[Argument]], name: bytes, *, without_argument: int = 0) -> int | None:
    """An allowance: the smallest of several, 0 when malformed."""
    if name not in said:
        return None
    return min(without_argument if argument is None else _number(argument) or 0 for argument in said[name])


def _qualified(said: dict[bytes, list[Argument]], name: bytes) -> tuple[bool, frozenset[bytes]]:
    """Whether the directive is there without field names (or with what are none), and the names in it."""
    fields: set[bytes] = set()
    whole = False
    for argument in said.get(name, ()):
        names = [part.strip(b" \t").lower() for part in argument.split(b",")] if isinstance(argument, bytes) else []
        names = [part for part in names if part]
        if names and all(_NAME.fullmatch(part) for part in names):
            fields.update(names)
        else:
            whole = True
    return whole, frozenset(fields)
