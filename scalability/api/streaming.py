"""Request bodies as they come, for the routes that ask for them.

    @app.route("/files/<name>", methods=["PUT"])
    @streamed(max_body_bytes=1 << 30)
    async def store(request: IRequest, name: str, body: Body) -> bytes:
        async for piece in body:
            await write(piece)
        return json_answer(request, {"stored": body.received_bytes})

Such a route is called as soon as the head is here. The client is held back while nobody takes what it sends; at most 64 KiB and one
read of the socket wait. Other routes go on to find their whole body in ``request.content``, up to the limit of ``mount``.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, Protocol, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer
from twisted.python.failure import Failure
from twisted.web.iweb import UNKNOWN_LENGTH, IBodyProducer
from zope.interface import implementer

from scalability.errors import BodyTooLarge, ClientGone, ScalelabError
from scalability.net.transport import HIGH_WATERMARK

LIMIT_ATTRIBUTE = "streams_body_up_to"
"""What ``streamed`` sets on a route, and Klein copies to its endpoint."""

Route = TypeVar("Route", bound=Callable[..., Any])


class Source(Protocol):
    """Where a body comes from: ``net.exchange.Exchange``."""

    def pause_body(self) -> None: ...

    def resume_body(self) -> None: ...

    def send_continue(self) -> None: ...


def streamed(*, max_body_bytes: int) -> Callable[[Route], Route]:
    """Give a Klein route its body as the argument ``body``, a ``Body`` of at most ``max_body_bytes`` bytes, while it arrives.

    Stands below ``app.route``. ``request.content`` is None then, unless the body came along with the head. The limit replaces that of
    ``mount``, upward or downward: above it the answer is 413, at once when Content-Length says so, else from the iteration.
    """

    def decorate(route: Route) -> Route:
        @wraps(route)
        def streaming(*args: Any, **values: Any) -> Any:
            request = args[0] if hasattr(args[0], "responseHeaders") else args[1]  # the instance comes first where the app is bound to one
            return route(*args, body=_body_of(request, max_body_bytes), **values)

        setattr(streaming, LIMIT_ATTRIBUTE, max_body_bytes)
        return streaming  # type: ignore[return-value]  # with one argument less

    return decorate


def _body_of(request: Any, max_body_bytes: int) -> "Body":
    body: Body | None = getattr(request, "stream", None)
    if body is None:
        data = request.content.read()
        body = Body(None, max_body_bytes, len(data))
        body.received(data, True)
    return body


@implementer(IBodyProducer)
class Body:
    """One request's body, to be read once: ``async for piece in body``, or handed to treq as the body of another request.

    Iterating raises BodyTooLarge (413), ClientGone when the client has left, and what was wrong with its framing (400) or its pace (408).
    """

    def __init__(
        self, source: Source | None, max_bytes: int, length: int | None, account: Callable[[int], bool] = lambda held_bytes: False
    ) -> None:
        self.length = UNKNOWN_LENGTH if length is None else length
        """Of the whole body, as the client said it in Content-Length; else UNKNOWN_LENGTH."""
        self.received_bytes = 0
        """So far."""
        self._source = source
        self._max_bytes = max_bytes
        self._account = account
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._ended = False
        self._wanted = False
        self._paused = False
        self._error: ScalelabError | None = None
        self._waiter: Deferred[None] | None = None
        self._producing: Deferred[None] | None = None
        self._consumer_ready: Deferred[None] | None = None

    def __aiter__(self) -> "Body":
        return self

    async def __anext__(self) -> bytes:
        while True:
            if self._error is not None:
                raise self._error
            if self._held:
                return self._take()
            if self._ended:
                raise StopAsyncIteration
            if self._waiter is not None:
                raise RuntimeError("somebody waits for this body already")
            if not self._wanted:
                self._wanted = True
                if self._source is not None and not self.received_bytes:
                    self._source.send_continue()  # once: a client that asked first is told to go on when somebody wants its body
            self._waiter = Deferred(self._forget)
            await self._waiter

    def _take(self) -> bytes:
        data = b"".join(self._held)
        self._drop()
        if self._paused and self._source is not None:
            self._paused = False
            self._source.resume_body()
        return data

    def _drop(self) -> None:
        self._account(-self._held_bytes)
        self._held.clear()
        self._held_bytes = 0

    def _forget(self, waiter: Deferred[None]) -> None:
        self._waiter = None

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            waiter.callback(None)

    # the adapter's side

    def received(self, data: bytes, ended: bool) -> None:
        """Called with each part of the body, in order."""
        if self._error is not None:
            return
        self.received_bytes += len(data)
        if self.received_bytes > self._max_bytes:
            self.fail(BodyTooLarge(f"the body is larger than {self._max_bytes} bytes"))
            self._pause()
            return
        crowded = False
        if data:
            self._held.append(data)
            self._held_bytes += len(data)
            crowded = self._account(len(data))
        self._ended = ended
        self._wake()
        if not ended and self._held and (crowded or self._held_bytes > HIGH_WATERMARK):
            self._pause()

    def fail(self, error: ScalelabError) -> None:
        """Nothing more comes, for this reason. What nobody has taken is dropped."""
        if self._error is None:
            self._error = error
            self._drop()
            self._wake()

    def over(self) -> None:
        """The request is answered, or cannot be any more."""
        if not self._ended:
            self.fail(ClientGone("this request is over"))
        self._drop()

    def _pause(self) -> None:
        if not self._paused and self._source is not None:
            self._paused = True
            self._source.pause_body()

    # IBodyProducer

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:  # noqa: N802 - Twisted's name
        """Write all of the body to ``consumer``, as fast as that wants it; fires at the end."""
        finished: Deferred[None] = Deferred()
        self._producing = producing = Deferred.fromCoroutine(self._produce(consumer))

        def failed(failure: Failure) -> None:
            if self._producing is not None:
                finished.errback(failure)

        producing.addCallbacks(finished.callback, failed)
        return finished

    async def _produce(self, consumer: IConsumer) -> None:
        async for piece in self:
            consumer.write(piece)
            if self._consumer_ready is not None:
                await self._consumer_ready

    def pauseProducing(self) -> None:
        if self._consumer_ready is None:
            self._consumer_ready = Deferred()

    def resumeProducing(self) -> None:
        ready, self._consumer_ready = self._consumer_ready, None
        if ready is not None:
            ready.callback(None)

    def stopProducing(self) -> None:
        """The consumer wants no more; what ``startProducing`` returned never fires then, as IBodyProducer demands."""
        producing, self._producing = self._producing, None
        if producing is not None:
            producing.cancel()
