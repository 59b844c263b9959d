"""The JSON that the gateway's own routes answer, as far as they promise it. For the description only: the routes write it themselves."""

from typing import Any, Literal

import msgspec


class Data(msgspec.Struct):
    """``cached``: it came from the cache. ``stale``: it is the last good value, for the database does not answer."""

    cached: bool
    data: Any
    stale: bool = False


class Queued(msgspec.Struct):
    """The task's id, for ``/tasks/<id>``."""

    status: str
    task_id: str


class Task(msgspec.Struct):
    """Where a task is. Times are Unix seconds."""

    task_id: str
    task: str
    status: str
    attempts: int
    created_at: float
    started_at: float | None
    finished_at: float | None
    result: Any
    error: str | None


class Processed(msgspec.Struct):
    """What the microservice says."""

    message: str


class Dependency(msgspec.Struct):
    """A service behind the gateway, as it was last seen."""

    status: Literal["unknown", "up", "down"]
    failures: int


class Health(msgspec.Struct):
    """``ok`` whenever the gateway can answer; the services behind it stand in ``dependencies``."""

    status: Literal["ok"]
    dependencies: dict[str, Dependency]


class Metrics(msgspec.Struct):
    """``avg_latency``: seconds of a ``/data`` request on average. There are further members."""

    cache_hits: int
    cache_misses: int
    avg_latency: float
