"""What a load test counts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalability.lab.loadgen.recorder import Failure, Recorder


def test_good_answers_and_timeouts_make_the_percentiles() -> None:
    recorder = Recorder()
    for _ in range(98):
        recorder.answered(200, 0.010, 5)
    recorder.failed(Failure.TIMEOUT, 10.0)
    recorder.failed(Failure.TIMEOUT, 10.0)
    recorder.answered(503, 0.0001, 7)
    recorder.failed(Failure.REFUSED, 0.0001)
    latency = recorder.latency
    assert latency.count == 100
    assert latency.quantile(0.5) == pytest.approx(0.010, rel=0.001)
    assert latency.quantile(0.99) == pytest.approx(10.0, rel=0.001)
    assert recorder.failed_latency.count == 2
    totals = recorder.totals
    assert (totals.success, totals.failed, totals.requests, totals.received_bytes) == (98, 4, 102, 98 * 5 + 7)
    assert totals.failures == {Failure.TIMEOUT: 2, Failure.SERVER_ERROR: 1, Failure.REFUSED: 1}
    assert totals.statuses == {200: 98, 503: 1}


@pytest.mark.parametrize(
    ("status", "failure"), [(200, None), (304, None), (399, None), (400, "4xx"), (499, "4xx"), (500, "5xx"), (599, "5xx")]
)
def test_an_answer_is_good_below_400(status: int, failure: str | None) -> None:
    recorder = Recorder()
    recorder.answered(status, 0.1, 0)
    assert [f.value for f in recorder.totals.failures] == ([failure] if failure else [])
    assert recorder.totals.success == (failure is None)


def test_each_second_stands_for_itself() -> None:
    recorder = Recorder(keep=2)
    recorder.answered(200, 0.5, 0)
    recorder.failed(Failure.TIMEOUT, 10.0)
    recorder.failed(Failure.RESET, 0.1)
    first = recorder.turn(1.0)
    assert (first.at_s, first.requests, first.failures, first.max_s) == (1.0, 3, 2, 10.0)
    second = recorder.turn(2.0)
    assert (second.requests, second.failures, second.p50_s) == (0, 0, 0.0)
    recorder.answered(200, 0.25, 0)
    third = recorder.turn(3.0)
    assert (third.requests, third.failures) == (1, 0)
    assert third.p99_s == pytest.approx(0.25, rel=0.001)
    assert recorder.seconds == [second, third]
    assert recorder.latency.count == 3


outcomes = st.lists(st.tuples(st.sampled_from([200, 404, 500, *Failure]), st.floats(1e-6, 60)), max_size=60)


@given(outcomes, outcomes)
def test_a_merge_is_as_if_one_recorder_had_seen_it_all(
    mine: list[tuple[int | Failure, float]], theirs: list[tuple[int | Failure, float]]
) -> None:
    def recorded(events: list[tuple[int | Failure, float]]) -> Recorder:
        recorder = Recorder()
        for what, latency_s in events:
            if isinstance(what, Failure):
                recorder.failed(what, latency_s)
            else:
                recorder.answered(what, latency_s, 3)
        return recorder

    both, merged = recorded(mine + theirs), recorded(mine)
    merged.turn(1.0)
    merged.merge(recorded(theirs))
    assert merged.totals == both.totals
    assert list(merged.latency.cells()) == list(both.latency.cells())
    assert list(merged.failed_latency.cells()) == list(both.failed_latency.cells())
    assert merged.turn(2.0).requests == 0
