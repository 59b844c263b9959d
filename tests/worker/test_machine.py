from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalability.worker import machine
from scalability.worker.machine import Job, Policy, State

POLICY = Policy(lease_s=30.0, retry_base_s=5.0)


def leased(**changes: object) -> Job:
    return replace(machine.claimed(Job(), 100.0, POLICY), **changes)  # type: ignore[arg-type]  # any field


def test_a_claim_spends_an_attempt_and_gives_a_new_token_and_a_lease() -> None:
    job = machine.claimed(Job(), 100.0, POLICY)
    assert (job.state, job.attempts, job.claim_no, job.lease_until, job.started_at) == (State.LEASED, 1, 1, 130.0, 100.0)


def test_a_heartbeat_renews_the_lease_and_nothing_else() -> None:
    job = leased()
    assert machine.renewed(job, 110.0, POLICY) == replace(job, lease_until=140.0)


def test_success_keeps_the_result_and_forgets_error_and_crashes() -> None:
    job = machine.succeeded(leased(error="before", crashes=2), 105.0, b"1")
    assert (job.state, job.result, job.finished_at, job.error, job.crashes, job.lease_until) == (
        State.SUCCEEDED,
        b"1",
        105.0,
        None,
        0,
        None,
    )


def test_a_failure_is_retried_later_and_later_with_jitter() -> None:
    job = machine.failed(leased(), 100.0, "no", POLICY, 0.5)
    assert (job.state, job.run_at, job.error, job.attempts) == (State.SCHEDULED, 105.0, "no", 1)
    delays = [machine.retry_delay(n, POLICY, 0.5) for n in range(1, 13)]
    assert delays == [5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600]
    assert machine.retry_delay(1, POLICY, 0.0) == 3.75
    assert machine.retry_delay(1, POLICY, 1.0) == 6.25
    assert machine.retry_delay(1000, POLICY, 0.5) == 3600


def test_twenty_attempts_take_about_ten_hours() -> None:
    assert 9.5 < sum(machine.retry_delay(n, Policy(), 0.5) for n in range(1, 20)) / 3600 < 11


def test_the_last_attempt_that_fails_makes_the_task_dead() -> None:
    job = machine.failed(leased(attempts=20), 100.0, "no", POLICY, 0.5)
    assert (job.state, job.error, job.finished_at) == (State.DEAD, "no", 100.0)


def test_a_hopeless_failure_is_not_retried() -> None:
    assert machine.failed(leased(), 100.0, "no", POLICY, 0.5, hopeless=True).state is State.DEAD


def test_a_crash_makes_it_available_at_once_and_the_third_in_a_row_kills_it_as_poison() -> None:
    job = Job()
    for crashes in (1, 2):
        job = machine.crashed(machine.claimed(job, 100.0, POLICY), 101.0, "gone", POLICY)
        assert (job.state, job.crashes, job.run_at, job.attempts) == (State.AVAILABLE, crashes, 101.0, crashes)
    assert job.suspect
    job = machine.crashed(machine.claimed(job, 100.0, POLICY), 102.0, "gone", POLICY)
    assert job.state is State.DEAD
    assert job.error == "poison: 3 crashes in a row, the last one because gone"


def test_a_crash_in_the_last_attempt_makes_it_dead() -> None:
    job = machine.crashed(leased(attempts=20), 100.0, "gone", POLICY)
    assert (job.state, job.error) == (State.DEAD, "gone")


def test_an_attempt_that_ends_without_a_crash_clears_the_suspicion() -> None:
    assert machine.failed(leased(crashes=2), 100.0, "no", POLICY, 0.5).crashes == 0


def test_a_release_gives_the_attempt_back_and_keeps_the_token_growing() -> None:
    job = machine.released(leased(), 103.0)
    assert (job.state, job.attempts, job.claim_no, job.run_at) == (State.AVAILABLE, 0, 1, 103.0)
    assert machine.claimed(job, 104.0, POLICY).claim_no == 2


def test_a_retry_is_promoted() -> None:
    assert machine.promoted(Job(state=State.SCHEDULED)).state is State.AVAILABLE


TRANSITIONS: list[tuple[State, Callable[[Job], Job]]] = [
    (State.AVAILABLE, lambda job: machine.claimed(job, 0, POLICY)),
    (State.LEASED, lambda job: machine.renewed(job, 0, POLICY)),
    (State.LEASED, lambda job: machine.succeeded(job, 0, b"")),
    (State.LEASED, lambda job: machine.failed(job, 0, "", POLICY, 0)),
    (State.LEASED, lambda job: machine.crashed(job, 0, "", POLICY)),
    (State.LEASED, lambda job: machine.released(job, 0)),
    (State.SCHEDULED, machine.promoted),
]


@given(st.sampled_from(TRANSITIONS), st.sampled_from(State))
def test_what_is_impossible_in_a_state_raises(transition: tuple[State, Callable[[Job], Job]], state: State) -> None:
    needed, step = transition
    job = Job(state=state, attempts=1)
    if state is needed:
        step(job)
    else:
        with pytest.raises(ValueError, match=state.name):
            step(job)


def test_only_finished_states_are_finished() -> None:
    assert [state for state in State if state.finished] == [State.SUCCEEDED, State.DEAD, State.CANCELLED]
