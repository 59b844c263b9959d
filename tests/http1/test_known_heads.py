"""What is known of the heads that clients have sent of late, and its bound."""

from scalability.http1.known_heads import GENERATION, KnownHeads
from scalability.http1.limits import DEFAULT_LIMITS
from scalability.http1.request_head import parse_request_head


def lines(number: int) -> bytes:
    return b"Host: a%d\r\n\r\n" % number


def add(known: KnownHeads, number: int) -> None:
    block = b"GET / HTTP/1.1\r\n" + lines(number)
    known.put(lines(number), block, parse_request_head(block, DEFAULT_LIMITS))


def test_the_last_head_with_these_lines_is_known() -> None:
    known = KnownHeads()
    assert known.get(lines(1)) is None
    add(known, 1)
    found = known.get(lines(1))
    assert found is not None
    assert (found[0], found[1].host) == (b"GET / HTTP/1.1\r\n" + lines(1), b"a1")
    assert known.get(lines(2)) is None


def test_what_is_asked_for_stays_and_the_rest_is_forgotten() -> None:
    known = KnownHeads()
    for number in range(5 * GENERATION):
        add(known, number)
        assert known.get(lines(0)) is not None
    # the newest first: who is asked for takes the place of others
    held = [number for number in reversed(range(5 * GENERATION)) if known.get(lines(number)) is not None]
    assert GENERATION <= len(held) <= 2 * GENERATION
    assert set(held) >= {0, *range(4 * GENERATION + 2, 5 * GENERATION)}
