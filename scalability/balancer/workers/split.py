"""What one of several workers may do, so that all together do no more than the configuration allows. PURE."""

from msgspec.structs import replace

from scalability.balancer.config import BalancerOptions


def share(total: int, workers: int, index: int) -> int:
    """The part of ``total`` for the worker ``index`` of ``workers``, counted from 0: the first ones get what does not divide."""
    if not 0 <= index < workers:
        raise ValueError(f"there is no worker {index} of {workers}")
    whole, rest = divmod(total, workers)
    return whole + (index < rest)


def options_of(options: BalancerOptions, index: int) -> BalancerOptions:
    """What the worker ``index`` keeps to: ``options`` with its share of the caps, as one process."""
    workers = options.workers
    per_client = options.max_connections_per_client  # 0 is without limit, in each worker too
    return replace(
        options,
        workers=1,
        max_connections=share(options.max_connections, workers, index),
        max_connections_per_client=share(per_client, workers, index),
        max_queue=share(options.max_queue, workers, index),
    )
