"""Fetches a key set by treq: one GET, no redirects (a key's origin is what the operator wrote), a bounded body."""

import re
from typing import Any

from treq.client import HTTPClient
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError, DNSLookupError
from twisted.internet.error import TimeoutError as ConnectionTimeout
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import Agent, HTTPConnectionPool, ResponseDone, ResponseFailed, ResponseNeverReceived
from twisted.web.http import PotentialDataLoss

from scalability.gateway.access.jwks import Fetched, FetchFailed
from scalability.gateway.access.key_set_url import KeySetURL

MAX_DOCUMENT_BYTES = 256 << 10
"""A hundred keys of 4096 bits, certificates included, have half of that."""

ACCEPT = {"accept": "application/jwk-set+json, application/json"}

_MAX_AGE = re.compile(r'(?:^|[,\s])(?:max-age)\s*=\s*"?([0-9]{1,9})"?(?=$|[,\s])', re.IGNORECASE)
_UNSTORABLE = re.compile(r"(?:^|[,\s])(?:no-store|no-cache)(?=$|[,\s=])", re.IGNORECASE)


class KeySetClient:
    """Fetches what is at ``url``."""

    def __init__(self, client: Any, url: KeySetURL, *, max_bytes: int = MAX_DOCUMENT_BYTES) -> None:
        self._client = client
        self._url = str(url)
        self._max_bytes = max_bytes

    def fetch(self) -> Deferred[Fetched]:
        """The document. Fails with FetchFailed, saying what is wrong; cancelling closes the connection."""
        return Deferred.fromCoroutine(self._fetch())

    async def _fetch(self) -> Fetched:
        try:
            answer = await self._client.get(self._url, headers=ACCEPT, allow_redirects=False, unbuffered=True)
            if answer.code != 200:
                answer.deliverBody(_Unwanted())
                raise FetchFailed(f"answers with status {answer.code}")
            body = _Body(self._max_bytes)
            answer.deliverBody(body)
            document = await body.complete
        except (ConnectError, ConnectionTimeout, DNSLookupError) as error:
            raise FetchFailed(f"cannot be reached: {error}") from error
        except (ResponseFailed, ResponseNeverReceived) as error:
            raise FetchFailed(f"breaks off: {error.reasons[0].getErrorMessage()}") from error
        return Fetched(document, _max_age_s(answer.headers.getRawHeaders("cache-control", [])))


class _Unwanted(Protocol):
    """Closes the connection instead of reading a body."""

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.loseConnection()


class _Body(Protocol):
    """Keeps at most ``max_bytes`` of a body; closes the connection when there are more, or when nobody wants it any longer.

    (``treq.collect`` leaves the connection open when it is cancelled.)
    """

    transport: Any

    def __init__(self, max_bytes: int) -> None:
        self.complete: Deferred[bytes] = Deferred(self._cancelled)
        self._parts: list[bytes] = []
        self._left = max_bytes

    def dataReceived(self, data: bytes) -> None:
        self._left -= len(data)
        if self._left >= 0:
            self._parts.append(data)
        elif not self.complete.called:
            self._parts.clear()
            self.complete.errback(FetchFailed("is larger than a key set may be"))
            self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.complete.called:
            return
        if reason.check(ResponseDone, PotentialDataLoss):
            self.complete.callback(b"".join(self._parts))
        else:
            self.complete.errback(FetchFailed("breaks off in the middle"))

    def _cancelled(self, _: Deferred[bytes]) -> None:
        self.transport.loseConnection()


def key_set_client(reactor: Any, url: KeySetURL, *, connect_timeout_s: float = 3.0) -> KeySetClient:
    """One on the network. A connection for each fetch: there is one in minutes."""
    agent = Agent(reactor, connectTimeout=connect_timeout_s, pool=HTTPConnectionPool(reactor, persistent=False))
    return KeySetClient(HTTPClient(agent), url)


def _max_age_s(values: list[str]) -> float | None:
    text = ",".join(values)
    if _UNSTORABLE.search(text):
        return 0.0
    match = _MAX_AGE.search(text)
    return None if match is None else float(match[1])
