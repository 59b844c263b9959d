"""One end of the socket between the parent and a worker."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import msgspec
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Protocol
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from scalability.balancer.workers.frames import FrameError, Frames, frame

M = TypeVar("M")


@implementer(IPushProducer)
class Link(Protocol, Generic[M]):
    """Sends messages, and hands out those that come.

    Whoever sends what can wait looks at ``full`` first and sends the newest when ``ready`` is called: then no more than 64 KiB
    and one message wait for a slow process.
    """

    log = Logger()
    transport: Any

    def __init__(
        self,
        decoder: "msgspec.json.Decoder[M]",
        received: Callable[[M], None],
        lost: Callable[[], None],
        ready: Callable[[], None] = lambda: None,
        frames: Frames[M] | None = None,
    ) -> None:
        self._frames = frames if frames is not None else Frames(decoder)
        self._received = received
        self._lost = lost
        self._ready = ready
        self.full = False
        """More than 64 KiB wait to be read by the other side."""
        self.open = False

    def connectionMade(self) -> None:
        self.open = True
        self.transport.registerProducer(self, True)

    def send(self, message: msgspec.Struct) -> None:
        """Send ``message``; nothing happens when the link is lost."""
        if self.open:
            self.transport.write(frame(message))

    def close(self) -> None:
        """Close it when all is sent."""
        if self.open:
            self.transport.unregisterProducer()
            self.transport.loseConnection()

    def dataReceived(self, data: bytes) -> None:
        try:
            for message in self._frames.feed(data):
                self._received(message)
        except FrameError as error:
            self.log.error("what came between the balancer's processes is no message: {why}", why=str(error))
            self.transport.abortConnection()

    def connectionLost(self, reason: Failure = None) -> None:  # type: ignore[assignment]
        self.open = False
        self.full = False
        self._lost()

    def pauseProducing(self) -> None:
        self.full = True

    def resumeProducing(self) -> None:
        self.full = False
        self._ready()

    def stopProducing(self) -> None:
        """connectionLost says so too."""
