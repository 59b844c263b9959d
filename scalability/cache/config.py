"""The options of ``scalelab-cache``."""

from pathlib import Path
from typing import Annotated, ClassVar

from msgspec import Meta

from scalability.cache.resp.password import read_password
from scalability.config import Address, Flag, ServerOptions
from scalability.config.written import check_written

MAX_TTL_S = 315_360_000.0
"""Ten years: what is meant to live longer belongs into a database."""


class CacheOptions(ServerOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The cache server. Its bytes count key, value and about 320 bytes of bookkeeping an entry."""

    component: ClassVar[str] = "cache"

    listen: Annotated[Address, Flag("HOST:PORT to accept requests on.", "HOST:PORT")] = Address("127.0.0.1", 5004)
    resp: Annotated[Address, Flag("HOST:PORT to speak RESP2 and RESP3 on, the protocol of Redis and Valkey.", "HOST:PORT")] = Address(
        "127.0.0.1", 6380
    )
    no_resp: Annotated[bool, Flag("Speak HTTP only, and listen on no port for RESP.")] = False
    resp_password_file: Annotated[
        Path | None,
        Flag(
            "File with the password that clients of RESP must give (AUTH). Read anew when it changes. Without it --resp must be a "
            "loopback address.",
            "FILE",
        ),
    ] = None
    resp_unprotected: Annotated[
        bool, Flag("Speak RESP without a password on any address: for networks where everybody may read, write and delete everything.")
    ] = False
    resp_max_clients: Annotated[
        int,
        Meta(ge=1, le=1_000_000),
        Flag("Clients of RESP at most; who comes then is told so, and left.", "N"),
    ] = 10_000
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
    max_value_bytes: Annotated[
        int,
        Meta(ge=64, le=512 << 20),
        Flag("Bytes of one key and value together; larger ones are refused.", "N"),
    ] = 16 << 20
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

    def __post_init__(self) -> None:
        if not (self.no_resp or self.resp.loopback or self.resp_password_file is not None or self.resp_unprotected):
            raise ValueError(
                f"resp: {self.resp} can be reached from other machines; give it --resp-password-file, a loopback address, or "
                "--resp-unprotected where everybody may read, write and delete everything"
            )

    def check_files(self) -> None:
        """Raise ConfigError when the snapshot has no place, or there is no password in the file for it."""
        if self.snapshot is not None:
            # another file is put in its place
            check_written("--snapshot", self.snapshot, self.snapshot.absolute().parent)
        if self.resp_password_file is not None and not self.no_resp:
            read_password(self.resp_password_file)
