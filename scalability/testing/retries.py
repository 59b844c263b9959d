"""Retries as a balancer has them by default, without chance."""

from twisted.internet.interfaces import IReactorTime

from scalability.proxy.retrying import Retries, RetryPolicy
from scalability.upstream.retry_budget import RetryBudget

USUAL_POLICY = RetryPolicy()


def usual_retries(clock: IReactorTime, policy: RetryPolicy = USUAL_POLICY) -> Retries:
    """Each pause is as long as it may be."""
    return Retries(clock, policy=policy, budget=RetryBudget(), random=lambda: 0.999)
