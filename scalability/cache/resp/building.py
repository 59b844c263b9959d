"""The RESP front of the cache server, made of its options."""

from collections.abc import Callable
from typing import Any, NamedTuple

from scalability.cache.config import CacheOptions
from scalability.cache.entries import Entries
from scalability.cache.resp.command_table import COMMANDS
from scalability.cache.resp.connection import MAX_UNSENT_BYTES, RESPFactory
from scalability.cache.resp.metrics import resp_metrics
from scalability.cache.resp.password import Password
from scalability.cache.resp.process import process_facts
from scalability.cache.resp.server import ServerState, SnapshotWriting
from scalability.lifecycle import DeadlineWheel
from scalability.net.listen import Listener
from scalability.telemetry.metrics import MetricSet

GRACE_S = 5.0
"""What clients have at the end to take their last replies, in seconds."""

REQUEST_SHARE = 4
"""Requests that come in pieces may take one part in so many of the memory for entries."""


class RESPFront(NamedTuple):
    """What a service needs of it. ``wheel`` must run before ``listener`` listens."""

    wheel: DeadlineWheel
    listener: Listener
    metrics: MetricSet


def resp_front(
    reactor: Any, options: CacheOptions, entries: Entries, *, draw: Callable[[], float], snapshots: SnapshotWriting | None = None
) -> RESPFront:
    """``entries`` over RESP, on ``options.resp``. ``draw`` is the random source, evenly spread over [0, 1)."""
    password = options.resp_password_file
    state = ServerState(
        entries,
        COMMANDS,
        right_password=None if password is None else Password(password).right,
        max_clients=options.resp_max_clients,
        settings=_settings(options),
        draw=draw,
        port=options.resp.port,
        later=lambda call: reactor.callLater(0, call),
        process=process_facts,
    )
    state.snapshots = snapshots
    wheel = DeadlineWheel(reactor)
    held = max(options.max_bytes // REQUEST_SHARE, 1 << 20)
    factory = RESPFactory(
        state,
        wheel,
        max_bulk_bytes=options.max_value_bytes,
        max_request_bytes=held,
        max_held_bytes=held,
        max_unsent_bytes=max(MAX_UNSENT_BYTES, 2 * options.max_value_bytes),
    )
    listener = Listener(reactor, options.resp, factory, who="scalelab-cache RESP", flag="--resp", grace_s=GRACE_S)
    return RESPFront(wheel, listener, resp_metrics(state))


def _settings(options: CacheOptions) -> dict[str, str]:
    """What CONFIG GET tells: the names are Redis'."""
    return {
        "appendonly": "no",
        "databases": "1",
        "maxclients": str(options.resp_max_clients),
        "maxmemory": str(options.max_bytes),
        "maxmemory-policy": "allkeys-s3fifo",
        "proto-max-bulk-len": str(options.max_value_bytes),
        "save": "",
        "timeout": "0",
    }
