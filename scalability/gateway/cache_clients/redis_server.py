"""A server that speaks RESP as one of the gateway's dependencies: how it is made of its URL, whether it is up, what is counted."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from scalability.config.named_file import read_named
from scalability.errors import ConfigError, UpstreamError
from scalability.lifecycle import DeadlineWheel
from scalability.resp.client import RespClient
from scalability.resp.client_connection import Word
from scalability.resp.client_opening import Greeting, Secure
from scalability.resp.url import RedisURL
from scalability.upstream.backoff import Backoff

FLAG = "--cache"
MAX_PASSWORD_FILE_BYTES = 64 << 10

PAUSES = Backoff(base_s=0.05, max_s=1.0)
"""Between two attempts to connect. With full jitter: gateways that lost the server together do not come back together."""


class RedisServer:
    """Asked through ``client``, which is a service of its owner's. Watched and counted as ``Dependency`` is."""

    def __init__(self, name: str, client: RespClient) -> None:
        self.name = name
        self.client = client
        self.requests = 0
        self.skipped = 0
        """Requests that failed at once because there was no connection."""
        self._failed_calls = 0

    @property
    def up(self) -> bool | None:
        """Whether there is a connection; None until that was tried."""
        return self.client.connected if self.client.tried else None

    @property
    def failures(self) -> int:
        """Requests, and attempts to connect, that failed."""
        return self._failed_calls + self.client.failed_attempts

    def call(self, *words: Word) -> Deferred[Any]:
        """As the client's."""
        if not self._asks():
            return self.client.call(*words)
        return self.client.call(*words).addErrback(self._failed)

    def pipeline(self, *commands: tuple[Word, ...]) -> Deferred[list[Any]]:
        """As the client's."""
        if not self._asks():
            return self.client.pipeline(*commands)
        return self.client.pipeline(*commands).addErrback(self._failed)

    def probe(self, *, timeout_s: float | None = None) -> Deferred[None]:
        """Fires at once: the client looks for itself, every second."""
        return succeed(None)

    def close(self) -> None:
        """The client ends with its owner."""

    def _asks(self) -> bool:
        if self.client.tried and not self.client.connected:
            self.skipped += 1
            return False
        self.requests += 1
        return True

    def _failed(self, failure: Failure) -> Failure:
        # A cancelled request says nothing about the server, and neither does our own limit of requests at once.
        if isinstance(failure.value, UpstreamError):
            self._failed_calls += 1
        return failure


def redis_client(reactor: Any, url: RedisURL, wheel: DeadlineWheel, *, timeout_s: float, flag: str = FLAG) -> RespClient:
    """The client for ``url``, which is to be started when ``wheel`` runs.

    Raises ConfigError, naming ``flag``, when a file that the URL names is of no use. Blocks while it reads it.
    """
    return RespClient(
        reactor,
        url.servers,
        wheel,
        timeout_s=timeout_s,
        pause_s=PAUSES.delay_s,
        draw=random.random,
        greeting=Greeting(url.user, _password(url, flag), url.database),
        secure=_securing(reactor, url, flag),
    )


def check_files(url: RedisURL, flag: str = FLAG) -> None:
    """Raise ConfigError, as ``redis_client`` does, when a file that the URL names is of no use."""
    _password(url, flag)
    if url.ca is not None:
        from scalability.net.tls import Authorities  # loads OpenSSL, which most do without

        Authorities(Path(url.ca), flag)


def _password(url: RedisURL, flag: str) -> str | None:
    if url.password_file is None:
        return url.password
    data = read_named(flag, Path(url.password_file), MAX_PASSWORD_FILE_BYTES)
    try:
        lines = data.decode().splitlines()
    except UnicodeDecodeError as error:
        raise ConfigError(flag, f"{url.password_file} is not UTF-8") from error
    if not lines or not lines[0]:
        raise ConfigError(flag, f"the first line of {url.password_file} is empty")
    return lines[0]


def _securing(reactor: IReactorTime, url: RedisURL, flag: str) -> Callable[[str], Secure] | None:
    if not url.tls:
        return None
    from scalability.net.tls import ServerTLS  # loads OpenSSL, which most do without

    return ServerTLS(reactor, ca=None if url.ca is None else Path(url.ca), alpn=(), flag=flag).wrap
