"""Servers that a file names, one a line as ``--backend`` has it; ``#`` begins a comment. The file is watched.

It is looked at every second, on a thread. When it has changed (time, size, or another file in its place) and stayed the same for a
moment, so that it is not read half written, it is read and taken in as a whole. A file that cannot be read, that has a bad
line, or that names no server at all changes nothing: the last good set stays, and the log says why, with the line's number; the next
change is another chance.
"""

from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from twisted.internet.task import deferLater
from twisted.logger import Logger

from scalability.config import Address
from scalability.config.named_file import read_named
from scalability.errors import ConfigError
from scalability.lifecycle import OrderedService, Ticker
from scalability.lifecycle.threads import Threads
from scalability.upstream.discovery.backend import MAX_SERVERS, ServerFile
from scalability.upstream.servers import Upstream
from scalability.upstream.spec import ServerSpec, check_shares

FLAG = "--backend"
INTERVAL_S = 1.0
SETTLED_S = 0.2
"""A file that has changed is read when it has stayed the same for so long, in seconds."""
MAX_BYTES = 4 << 20


class Signature(NamedTuple):
    """What changes when a file does."""

    modified_ns: int
    size: int
    inode: int
    device: int


def signature_of(path: Path) -> Signature | None:
    """That of the file now; None when there is none. Blocks."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return Signature(found.st_mtime_ns, found.st_size, found.st_ino, found.st_dev)


def servers_in(data: bytes, workers: int = 1) -> list[ServerSpec]:
    """The servers that ``data`` names, whose limits so many ``workers`` share. Raises ValueError, saying which line is wrong and how."""
    found: dict[Address, int] = {}
    specs: list[ServerSpec] = []
    for number, line in enumerate(data.split(b"\n"), 1):
        try:
            text = line.partition(b"#")[0].decode().strip()
        except UnicodeDecodeError:
            raise ValueError(f"line {number} is not UTF-8") from None
        if not text:
            continue
        try:
            spec = ServerSpec.parse(text)
            check_shares(str(spec.address), workers, max_active=spec.max_active, max_connections=spec.max_connections)
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from None
        first = found.setdefault(spec.address, number)
        if first != number:
            raise ValueError(f"line {number}: {spec.address} stands in line {first} already; give it a weight instead")
        if len(specs) == MAX_SERVERS:
            raise ValueError(f"line {number}: a file may name {MAX_SERVERS} servers")
        specs.append(spec)
    if not specs:
        raise ValueError("it names no server")
    return specs


def read_servers(path: Path, workers: int = 1) -> list[ServerSpec]:
    """The servers that the file names. Raises ConfigError, saying what is wrong. Blocks."""
    data = read_named(FLAG, path, MAX_BYTES)
    try:
        return servers_in(data.removeprefix(b"\xef\xbb\xbf"), workers)
    except ValueError as error:
        raise ConfigError(FLAG, f"{path}: {error}") from error


def read_settled(path: Path, signature: Signature, workers: int = 1) -> list[ServerSpec] | ConfigError | None:
    """What the file says, or what is wrong with it; None when it is not, or does not stay, the one of ``signature``. Blocks."""
    if signature_of(path) != signature:
        return None
    try:
        outcome: list[ServerSpec] | ConfigError = read_servers(path, workers)
    except ConfigError as error:
        outcome = error
    return outcome if signature_of(path) == signature else None


class FileReading(NamedTuple):
    """What a file said, and which file that was."""

    signature: Signature | None
    specs: list[ServerSpec]


def read_file(path: Path, workers: int = 1) -> FileReading:
    """What the file says now. Raises ConfigError when it cannot be taken in. Blocks."""
    # looked at first: what changes while it is read is read again
    signature = signature_of(path)
    return FileReading(signature, read_servers(path, workers))


class FileDiscovery(OrderedService):
    """Keeps ``upstream`` at the servers that ``file`` names, at first those of ``reading``.

    Files whose servers' limits ``workers`` processes cannot share change nothing either.
    ``trusted``: these take traffic before their first check; others that are added later never do.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        file: ServerFile,
        reading: FileReading,
        upstream: Upstream,
        *,
        trusted: bool = True,
        workers: int = 1,
        interval_s: float = INTERVAL_S,
        settled_s: float = SETTLED_S,
    ) -> None:
        super().__init__()
        self._reactor = reactor
        self._settled_s = settled_s
        self._workers = workers
        self._source = str(file)
        self._path = file.path
        self._upstream = upstream
        self._signature, self._specs = reading
        upstream.name_servers(self._source, self._specs, trusted=trusted)
        self._threads = Threads(reactor, 1, name="servers", limit=1)
        self._threads.setServiceParent(self)
        Ticker(reactor, interval_s, self.look, now=False).setServiceParent(self)

    async def look(self) -> None:
        """Take in what has changed."""
        seen = await self._threads.run(partial(signature_of, self._path))
        if seen == self._signature:
            return
        if seen is None:
            self._signature = None
            self._keep(f"there is no file {self._path} any more")
            return
        await deferLater(self._reactor, self._settled_s)
        outcome = await self._threads.run(partial(read_settled, self._path, seen, self._workers))
        if outcome is None or not self.running:
            return  # it is being written: the next look is soon enough; or nobody wants to know any more
        self._signature = seen
        if isinstance(outcome, ConfigError):
            self._keep(outcome.why)
            return
        self.log.info("{source} is read: it names {count} servers", source=self._source, count=len(outcome))
        if outcome != self._specs:
            self._specs = outcome
            self._upstream.name_servers(self._source, outcome, trusted=False)

    def _keep(self, why: str) -> None:
        self.log.error("{source} changes nothing: {why}; servers kept: {kept}", source=self._source, why=why, kept=len(self._specs))
