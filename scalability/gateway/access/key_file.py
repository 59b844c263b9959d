"""The file of API keys, read anew when it changes: a key is given or taken away without a restart.

It is looked at every second, on a thread. A file that cannot be read or has a bad line changes nothing: the keys of before stay, and
the log says why, once for each change.
"""

from pathlib import Path
from typing import Any

from twisted.logger import Logger

from scalability.config.named_file import read_named
from scalability.errors import ConfigError
from scalability.gateway.access.api_keys import KeyRing, read_ring
from scalability.lifecycle import OrderedService, Ticker
from scalability.lifecycle.threads import Threads
from scalability.upstream.discovery.file import Signature, signature_of

INTERVAL_S = 1.0
MAX_BYTES = 16 << 20


def read_key_file(path: Path, key: str = "api_keys") -> KeyRing:
    """The keys in the file. Raises ConfigError that names the option ``key``, saying what is wrong. Blocks."""
    data = read_named(key, path, MAX_BYTES)
    try:
        return read_ring(data)
    except ValueError as error:
        raise ConfigError(key, f"{path}: {error}") from error


class KeyFile(OrderedService):
    """The keys in ``path``. Reads the file when it is made, which may raise ConfigError, and block."""

    log = Logger()

    def __init__(self, reactor: Any, path: Path, *, interval_s: float = INTERVAL_S) -> None:
        super().__init__()
        self._path = path
        # looked at first: what changes while it is read is read again
        self._seen = signature_of(path)
        self.ring = read_key_file(path)
        """Another object after each change."""
        self._threads = Threads(reactor, 1, name="API key file")
        self._threads.setServiceParent(self)
        Ticker(reactor, interval_s, self._look).setServiceParent(self)

    async def _look(self) -> None:
        signature, outcome = await self._threads.run(self._read)
        if outcome is None:
            return
        self._seen = signature
        if isinstance(outcome, ConfigError):
            self.log.error("the API keys stay as they were: {why}", why=str(outcome))
        else:
            self.ring = outcome
            self.log.info("{count} API keys in {path}", count=len(outcome), path=str(self._path))

    def _read(self) -> tuple[Signature | None, KeyRing | ConfigError | None]:
        """On the thread: what the file says, when it is another than before and is not being written."""
        signature = signature_of(self._path)
        if signature == self._seen:
            return signature, None
        try:
            outcome: KeyRing | ConfigError = read_key_file(self._path)
        except ConfigError as error:
            outcome = error
        return signature, outcome if signature_of(self._path) == signature else None
