"""What operators have set of servers, modes and weights, kept in a file over the process's end: HAProxy's ``server-state-file``.

The file is written whole, beside its place, and put there at once, at each change and when the balancer stops. What it says of a server
counts when that first joins, so also of those that DNS finds later; of servers that never came it is written again. A weight counts
only while the configured one is what it was. A file that cannot be read is set aside as ``FILE.bad``, which the log tells, and
nothing of it counts.
"""

import os
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from scalability.lifecycle import OrderedService
from scalability.lifecycle.threads import Threads
from scalability.upstream.server import Mode, Server
from scalability.upstream.servers import Upstream
from scalability.upstream.spec import MAX_WEIGHT

MAX_BYTES = 16 << 20
"""Some 100,000 servers."""

Weight = Annotated[int, msgspec.Meta(ge=0, le=MAX_WEIGHT)]


class Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is wanted of one server."""

    mode: Mode = Mode.READY
    weight: Weight | None = None
    """None: the configured one."""
    configured_weight: Weight = 1
    """What that was."""


class Kept(msgspec.Struct, forbid_unknown_fields=True):
    """The file: servers by their names, those of which nothing is wanted left out."""

    servers: dict[str, Wanted]
    version: int = 1


def read_state(path: Path) -> dict[str, Wanted]:
    """What the file says; nothing where there is none. Raises ValueError or OSError, saying what is wrong. Blocks."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return {}
    if len(data) > MAX_BYTES:
        raise ValueError(f"it has more than {MAX_BYTES} bytes")
    kept = msgspec.json.decode(data, type=Kept)
    if kept.version != 1:
        raise ValueError(f"its version is {kept.version}, not 1")
    return kept.servers


def write_state(path: Path, servers: dict[str, Wanted]) -> None:
    """Put a file with ``servers`` in its place: whoever reads it finds all of the old or all of the new one. Raises OSError. Blocks."""
    new = path.with_name(f"{path.name}.new")
    try:
        with new.open("wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(Kept(servers)), indent=1) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError:
        with suppress(OSError):
            new.unlink()
        raise


def wanted_of(server: Server) -> Wanted | None:
    """What an operator has set of ``server``; None where that is nothing."""
    own_weight = server.weight != server.spec.weight
    if server.mode is Mode.READY and not own_weight:
        return None
    return Wanted(server.mode, server.weight if own_weight else None, server.spec.weight)


class StateFile(OrderedService):
    """Keeps ``path`` at what is wanted of the servers of ``upstream``, and has it wanted of them again."""

    log = Logger()

    def __init__(self, reactor: Any, path: Path, upstream: Upstream) -> None:
        super().__init__()
        self._path = path
        self._upstream = upstream
        self._threads = Threads(reactor, 1, name="state", limit=1)
        self._threads.setServiceParent(self)
        self._to_come = self._read()
        self._written = dict(self._to_come)
        self._writing: Deferred[None] | None = None
        upstream.watch(self)
        upstream.when_wanted(self._changed)

    def joined(self, server: Server) -> None:
        """See Watcher."""
        wanted = self._to_come.pop(server.name, None)
        if wanted is None:
            return
        if wanted.weight is not None and wanted.configured_weight == server.spec.weight:
            self._upstream.set_weight(server, wanted.weight)
        self._upstream.set_mode(server, wanted.mode)

    def left(self, server: Server) -> None:
        """See Watcher. What was wanted of it ends."""

    def stopService(self) -> Deferred[None]:
        """Fires when all that holds at the end is written."""
        stopped: Deferred[None] = Deferred.fromCoroutine(self._stop_when_written())
        return stopped

    async def _stop_when_written(self) -> None:
        if self._threads.running:
            self._changed()
            if self._writing is not None:
                await self._writing
        await super().stopService()

    def _read(self) -> dict[str, Wanted]:
        try:
            return read_state(self._path)
        except (OSError, ValueError) as error:
            aside = self._path.with_name(f"{self._path.name}.bad")
            try:
                self._path.replace(aside)
                where = f"it is {aside} now"
            except OSError as stays:
                where = f"it stays where it is: {stays.strerror}"
            self.log.warn(
                "the state file {path} cannot be read, and no server is as it was set: {why}; {where}",
                path=self._path,
                why=getattr(error, "strerror", None) or str(error),
                where=where,
            )
            return {}

    def _now(self) -> dict[str, Wanted]:
        found = {server.name: wanted for server in self._upstream if (wanted := wanted_of(server)) is not None}
        return {**self._to_come, **found}

    def _changed(self) -> None:
        # what changes while a file is written is written next, all of it together
        if self._writing is None and self._threads.running and self._now() != self._written:
            self._writing = Deferred.fromCoroutine(self._write())
            self._writing.addErrback(self._lost)

    async def _write(self) -> None:
        try:
            while (servers := self._now()) != self._written:
                self._written = servers
                try:
                    await self._threads.run(partial(write_state, self._path, servers))
                except OSError as error:
                    self.log.error("the state file {path} cannot be written: {why}", path=self._path, why=error.strerror)
        finally:
            self._writing = None

    def _lost(self, failure: Failure) -> None:
        self.log.failure("what is set of the servers could not be kept", failure)
