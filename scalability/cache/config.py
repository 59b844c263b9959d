"""The options of ``scalelab-cache``."""

from pathlib import Path
from typing import Annotated, ClassVar

from msgspec import Meta

from scalability.config import Address, Flag, ServerOptions

MAX_TTL_S = 315_360_000.0
"""Ten years: what is meant to live longer belongs into a database."""


class CacheOptions(ServerOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The cache server. Its bytes count key, value and about 350 bytes of bookkeeping an entry."""

    component: ClassVar[str] = "cache"

    listen: Annotated[Address, Flag("HOST:PORT to accept requests on.", "HOST:PORT")] = Address("127.0.0.1", 5004)
    ttl_s: Annotated[
        float,
        Meta(gt=0, le=MAX_TTL_S),
        Flag("Seconds that an entry lives unless its writer says otherwise.", "S"),
    ] = 30.0
    sweep_interval_s: Annotated[
        float,
        Meta(gt=0, le=3600),
        Flag("Seconds between two removals of expired entries that nobody read.", "S"),
    ] = 1.0
    max_bytes: Annotated[
        int,
        Meta(ge=1024),
        Flag("Bytes of memory for all entries together, bookkeeping included; beyond it the least useful go.", "N"),
    ] = 256 << 20
    max_entries: Annotated[
        int,
        Meta(ge=0),
        Flag("Number of entries at most; 0 means no limit but that of the bytes.", "N"),
    ] = 0
    snapshot: Annotated[
        Path | None,
        Flag("File that keeps the entries over a restart: read at the start, written at an interval and on SIGTERM.", "FILE"),
    ] = None
    snapshot_interval_s: Annotated[
        float,
        Meta(ge=0.1, le=86_400),
        Flag("Seconds between two writings of the snapshot; nothing is written when nothing changed.", "S"),
    ] = 60.0
