"""The options of ``scalelab-database``."""

from pathlib import Path
from typing import Annotated, ClassVar

from msgspec import Meta

from scalability.config import Address, Flag, ServerOptions
from scalability.sql import StoreURL


class DatabaseOptions(ServerOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The database service. With a latency of L seconds it answers at most concurrency / L requests a second."""

    component: ClassVar[str] = "database"

    listen: Annotated[Address, Flag("HOST:PORT to accept requests on.", "HOST:PORT")] = Address("127.0.0.1", 5002)
    store: Annotated[
        StoreURL,
        Flag("Where the records are kept: sqlite:FILE, relative to the current folder or absolute; made when it is not there.", "URL"),
    ] = StoreURL(Path("scalelab-database.sqlite3"))
    latency_s: Annotated[
        float,
        Meta(ge=0, le=3600),
        Flag("Seconds that every request to /db takes longer than it must, to simulate a slow database.", "S"),
    ] = 0.0
    concurrency: Annotated[
        int,
        Meta(ge=1, le=100_000),
        Flag("Requests to /db that are worked on at once; 1,000 more wait in line, and further ones are answered 503.", "N"),
    ] = 100
