"""The options of ``scalelab-worker``."""

from pathlib import Path
from typing import Annotated, ClassVar

from msgspec import Meta

from scalability.config import Address, Flag, ServerOptions
from scalability.sql import StoreURL
from scalability.worker.machine import Policy


class WorkerOptions(ServerOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The task worker."""

    component: ClassVar[str] = "worker"

    listen: Annotated[Address, Flag("HOST:PORT to accept requests on.", "HOST:PORT")] = Address("127.0.0.1", 5005)
    store: Annotated[
        StoreURL,
        Flag("Where the tasks are kept: sqlite:FILE, relative to the current folder or absolute; made when it is not there.", "URL"),
    ] = StoreURL(Path("scalelab-worker.sqlite3"))
    concurrency: Annotated[int, Meta(ge=1, le=1000), Flag("Tasks that run at once, from 1 to 1000.", "N")] = 10
    tasks: Annotated[
        tuple[str, ...],
        Flag("Module of your own task functions; without one, any task is simulated by waiting.", "MODULE"),
    ] = ()
    max_queue: Annotated[
        int,
        Meta(ge=1, le=100_000_000),
        Flag("Tasks that may wait beside those that run; a further one is answered 429.", "N"),
    ] = 100_000
    simulate_time_s: Annotated[
        float,
        Meta(ge=0, le=3600),
        Flag("Seconds that a simulated task takes, where there is no module of tasks.", "S"),
    ] = 5.0
    timeout_s: Annotated[
        float,
        Meta(gt=0, le=86_400 * 30),
        Flag("Seconds that one attempt at a task may take before it is cancelled and counts as failed.", "S"),
    ] = 300.0
    max_attempts: Annotated[
        int,
        Meta(ge=1, le=1000),
        Flag("Attempts at a task before it is dead; 20 take about 10 hours.", "N"),
    ] = 20
    retry_delay_s: Annotated[
        float,
        Meta(gt=0, le=86_400),
        Flag("Seconds before the second attempt, give or take a quarter; each further wait is twice as long, up to an hour.", "S"),
    ] = 5.0
    grace_s: Annotated[
        float,
        Meta(ge=0, le=3600),
        Flag("Seconds that running tasks get to finish when the server stops; then they are given back, the attempt unspent.", "S"),
    ] = 25.0
    keep_s: Annotated[
        float,
        Meta(ge=1, le=86_400 * 365),
        Flag("Seconds that a task that succeeded, and its result, can still be asked for.", "S"),
    ] = 86_400.0
    keep_dead_s: Annotated[
        float,
        Meta(ge=1, le=86_400 * 3650),
        Flag("Seconds that a dead task, and its error, can still be asked for.", "S"),
    ] = 86_400.0 * 30
    lease_s: Annotated[
        float,
        Meta(ge=1, le=86_400),
        Flag("Seconds after which a task whose worker has fallen silent is run again.", "S"),
    ] = 30.0

    @property
    def policy(self) -> Policy:
        """These options as the state machine takes them."""
        return Policy(lease_s=self.lease_s, max_attempts=self.max_attempts, retry_base_s=self.retry_delay_s)
