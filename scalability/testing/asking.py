"""Ask a Klein app without a socket and without a second passing: the server it is mounted on, on a transport in memory."""

import http.client
import io
import json as jsonlib
from collections.abc import Mapping
from typing import Any

from klein import Klein
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IProtocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.web.resource import Resource

from scalability.api.mount import mount
from scalability.testing.client import Answer

CLIENT = IPv4Address("TCP", "192.0.2.1", 40000)


class _Transport(StringTransport):
    def setTcpNoDelay(self, enabled: bool) -> None:
        """There is no kernel that could delay anything."""


class _Received:
    """What ``http.client`` takes for a socket."""

    def __init__(self, received: bytes) -> None:
        self._received = received

    def makefile(self, _mode: str) -> io.BytesIO:
        return io.BytesIO(self._received)


class Exchange:
    """One request on a connection of its own, and what has come back so far."""

    def __init__(self, protocol: IProtocol, transport: StringTransport, method: str) -> None:
        self._protocol = protocol
        self._transport = transport
        self._method = method

    @property
    def answered(self) -> bool:
        """True once the server has closed, which it does after a complete answer."""
        return bool(self._transport.disconnecting or self._transport.disconnected)

    @property
    def answer(self) -> Answer:
        """The complete answer. Raises AssertionError when there is none yet."""
        assert self.answered, f"no answer yet, only {self._transport.value()!r}"
        response = http.client.HTTPResponse(_Received(self._transport.value()), method=self._method)  # type: ignore[arg-type]
        response.begin()
        joined: dict[str, str] = {}
        for name, value in response.getheaders():
            joined[name.lower()] = f"{joined[name.lower()]}, {value}" if name.lower() in joined else value
        return Answer(response.status, joined, response.read())

    def leave(self) -> None:
        """The client closes its connection."""
        self._protocol.connectionLost(Failure(ConnectionDone()))


class Asking:
    """A client of ``app``, whose server runs on ``clock``."""

    def __init__(self, app: Klein | Resource, clock: Clock, **more: Any) -> None:
        self._factory = mount(app, reactor=clock, **more)

    def send(
        self,
        method: str,
        target: str | bytes,
        *,
        json: Any = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Exchange:
        """Send a request; ``target`` goes out as it is, nothing is escaped or normalised."""
        fields = {"Host": "test", "Connection": "close", **(headers or {})}
        if json is not None:
            body = jsonlib.dumps(json).encode()
            fields.setdefault("Content-Type", "application/json")
        if body is not None:
            fields["Content-Length"] = str(len(body))
        path = target.encode() if isinstance(target, str) else target
        head = b"%b %b HTTP/1.1\r\n" % (method.encode(), path) + b"".join(f"{k}: {v}\r\n".encode("latin-1") for k, v in fields.items())
        protocol = self._factory.buildProtocol(CLIENT)
        assert protocol is not None
        transport = _Transport(peerAddress=CLIENT)
        protocol.makeConnection(transport)
        protocol.dataReceived(head + b"\r\n" + (body or b""))
        return Exchange(protocol, transport, method)

    def ask(self, method: str, target: str | bytes, **more: Any) -> Answer:
        """``send``, for what is answered at once."""
        return self.send(method, target, **more).answer

    def get(self, target: str | bytes, **more: Any) -> Answer:
        return self.ask("GET", target, **more)

    def post(self, target: str | bytes, **more: Any) -> Answer:
        return self.ask("POST", target, **more)

    def delete(self, target: str | bytes, **more: Any) -> Answer:
        return self.ask("DELETE", target, **more)
