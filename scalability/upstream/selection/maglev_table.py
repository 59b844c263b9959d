"""The lookup table of Maglev (Eisenbud et al., NSDI 2016, section 3.4): which server has which part of the hash space.

Every server has its own order of all places, made from its name, and takes the next free one of them when it is its turn. So each gets
as many places as its weight is worth, and when a server comes or goes nearly all places stay with whom they were. Weights are
Envoy's: in a round of turns a server that weighs a third of the heaviest takes a place every third time.
"""

from collections.abc import Generator, Sequence
from hashlib import blake2b
from math import ceil
from typing import TypeVar, cast

S = TypeVar("S")

SIZE = 65_537
"""Places: a prime, so that every step leads through all of them; the paper's small table and Envoy's default. With up to 655 equal
servers shares differ by 1 % at most, with 10,000 a server has 6 or 7 places."""

PIECE = 4096
"""Places that are looked at in one piece of work: some 0.4 ms."""

FEW = 256
"""Free places below which the nearest of them is computed: the last one is found after 65,537 steps on average, half of all that there
are to do."""

NAMES = 256
"""Names that are hashed in one piece of work."""


_OF_NOTHING = blake2b(digest_size=8)


def hashed(data: bytes) -> int:
    """64 bits, equal in every process: BLAKE2b."""
    state = _OF_NOTHING.copy()  # sooner made than a new one with its parameters
    state.update(data)
    return int.from_bytes(state.digest(), "little")


def build(servers: Sequence[tuple[S, str, float]], size: int = SIZE) -> Generator[None, None, list[S]]:
    """Build a table of ``size`` places, a prime, for servers with their names and weights above 0; it is what the generator returns.

    It yields between two pieces of work. The order of ``servers`` does not matter if their names differ. One server or
    none has a table of as many places.
    """
    if len(servers) < 2:
        return [server for server, _, _ in servers]
    ordered = sorted(servers, key=lambda entry: entry[1])
    places: list[int] = []
    steps: list[int] = []
    for _, name, _ in ordered:
        digest = blake2b(name.encode(), digest_size=16).digest()
        places.append(int.from_bytes(digest[:8], "little") % size)
        steps.append(int.from_bytes(digest[8:], "little") % (size - 1) + 1)
        if len(places) % NAMES == 0:
            yield
    weights = [weight for _, _, weight in ordered]
    heaviest = max(weights)
    always = [index for index, weight in enumerate(weights) if weight == heaviest]
    due = {1: [index for index, weight in enumerate(weights) if weight != heaviest]}
    had = [0] * len(ordered)
    table: list[S | None] = [None] * size
    free = size
    looked = 0
    gaps: set[int] = set()
    turn = 0
    while free:
        turn += 1
        lighter = due.pop(turn, None)
        for index in sorted(always + lighter) if lighter else always:
            place = places[index]
            step = steps[index]
            if free > FEW:
                while table[place] is not None:
                    looked += 1
                    place += step
                    if place >= size:
                        place -= size
            else:
                gaps = gaps or (yield from _free_places(table))
                # how many steps away each of them is: modulo a prime, a step can be divided by
                per_step = pow(step, -1, size)
                place = (place + min((gap - place) * per_step % size for gap in gaps) * step) % size
                looked += len(gaps)
                gaps.remove(place)
            table[place] = ordered[index][0]
            places[index] = place
            free -= 1
            if not free:
                break
            weight = weights[index]
            if weight != heaviest:
                had[index] += 1
                due.setdefault(max(turn + 1, ceil(had[index] * heaviest / weight)), []).append(index)
            looked += 1
            if looked >= PIECE:
                looked = 0
                yield
    return cast(list[S], table)


def _free_places(table: list[S | None]) -> Generator[None, None, set[int]]:
    found: set[int] = set()
    for start in range(0, len(table), PIECE):
        found.update(start + index for index, server in enumerate(table[start : start + PIECE]) if server is None)
        yield
    return found
