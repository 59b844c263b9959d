"""A request within that may switch protocols: its answer, if there is one, is told as any other's; after 101 it is its client's own.

Without it a client could have an answer pass unchanged by asking for a protocol that nobody wants to switch to.
"""

from typing import Any

from scalability.errors import ScalelabError
from scalability.net.exchange import Exchange, TunnelReceiver
from scalability.proxy.inner import InnerExchange


class SwitchableExchange(InnerExchange):
    """``client`` is the exchange that switches. From then on whatever the tunnel does here is done there."""

    __slots__ = ("_client", "_switched")

    def __init__(self, client: Exchange, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._client = client
        self._switched = False

    def switch(self, block: bytes, receiver: TunnelReceiver) -> None:
        self._switched = True
        self.status = 101
        self.begun = True
        self._client.served_by = self.served_by
        self._client.switch(block, receiver)

    def write(self, data: bytes) -> None:
        if self._switched:
            self._client.write(data)
        else:
            super().write(data)

    def finish(self, data: bytes = b"") -> None:
        if self._switched:
            self._client.trouble = self.trouble
            self._client.finish(data)
        else:
            super().finish(data)

    def half_close(self) -> bool:
        return self._client.half_close() if self._switched else super().half_close()

    def fail(self, error: ScalelabError) -> None:
        if self._switched:
            self._client.fail(error)
        else:
            super().fail(error)

    def abort(self) -> None:
        if self._switched:
            self._client.abort()
        else:
            super().abort()

    def pause_body(self) -> None:
        if self._switched:
            self._client.pause_body()
        else:
            super().pause_body()

    def resume_body(self) -> None:
        if self._switched:
            self._client.resume_body()
        else:
            super().resume_body()
