"""Retries without chance."""

from twisted.internet.task import Clock

from scalability.proxy.retrying import RetryPolicy
from scalability.testing.retries import usual_retries


def test_each_pause_is_as_long_as_it_may_be() -> None:
    clock = Clock()
    waits = [usual_retries(clock).later(retry, lambda: None).getTime() for retry in (1, 2, 3)]
    assert [round(wait, 2) for wait in waits] == [0.02, 0.05, 0.1]


def test_the_policy_may_be_another_than_the_usual() -> None:
    assert usual_retries(Clock()).policy.retries == 2
    assert usual_retries(Clock(), RetryPolicy(retries=0)).policy.retries == 0
