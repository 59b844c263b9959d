"""Requests that are decided together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalability.gateway.rate_limits.batch import Question, decide, tat_of
from scalability.gateway.rate_limits.gcra import Rate
from scalability.gateway.rate_limits.store import MemoryLimits

S = 1_000_000_000
START = 1_700_000_000 * S
RATES = (Rate(3, S, 2), Rate(7, 10 * S))


@given(
    st.lists(
        st.tuples(
            st.lists(st.tuples(st.sampled_from([b"a", b"b", b"c"]), st.sampled_from([b"r", b"s"])), min_size=1, max_size=6),
            st.integers(0, 3 * S),
        ),
        max_size=8,
    )
)
def test_a_batch_is_decided_as_its_requests_one_by_one(batches: list[tuple[list[tuple[bytes, bytes]], int]]) -> None:
    memory = MemoryLimits(RATES, 1000)
    kept: dict[bytes, int] = {}
    now = START
    for keys, later in batches:
        now += later
        decided = decide([Question((b"0" + one, b"1" + other), RATES) for one, other in keys], kept, now)
        assert decided.verdicts == [memory.take(pair, now) for pair in keys]
        kept.update(decided.tats)


def test_only_what_was_charged_is_to_be_written_with_how_long_it_counts() -> None:
    rate, strict = Rate(4, S), Rate(1, S)
    full = START * strict.requests + strict.depth
    decided = decide([Question((b"a",), (rate,)), Question((b"b", b"c"), (rate, strict))], {b"c": full}, START)
    assert [verdict.admitted for verdict in decided.verdicts] == [True, False]
    assert decided.tats == {b"a": START * 4 + S}
    assert decided.live_ms == {b"a": 250}


def test_how_long_it_counts_is_rounded_up() -> None:
    assert decide([Question((b"a",), (Rate(3, 1_000_000),))], {}, START).live_ms == {b"a": 1}


@pytest.mark.parametrize("text", [None, b"", b"-5", b"1.5", b"x", b" 1", b"1_0", b"9" * 65, [b"1"], 5, "5"])
def test_what_is_no_tat_counts_as_never_charged(text: object) -> None:
    assert tat_of(text) == 0


def test_a_tat_is_read_as_it_was_written() -> None:
    assert tat_of(b"%d" % (10**28 + 7)) == 10**28 + 7
