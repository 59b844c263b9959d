"""Every error of the suite: whose fault it is, whether a retry is safe, and which status a client sees.

Each type carries its decision (the idea is Pingora's ``pingora-error``): ``source`` says who failed,
``retry`` whether the same request may be sent again, ``status`` and ``code`` what an HTTP client is told.
This module is the only place where an HTTP status is chosen for a failure. Messages reach clients:
they never contain addresses of upstreams, credentials or tracebacks; put those into the cause (``raise ... from``).
"""

from enum import Enum
from typing import ClassVar


class Source(Enum):
    """Who failed."""

    CLIENT = "client"
    UPSTREAM = "upstream"
    INTERNAL = "internal"


class Retry(Enum):
    """Whether the failed request may be sent again, elsewhere or on a fresh connection."""

    SAFE = "safe"
    """Nothing of it reached a server: any method may be retried."""
    IDEMPOTENT = "idempotent"
    """It may have been acted on: only idempotent methods (RFC 9110 section 9.2.2) may be retried."""
    NEVER = "never"


class ScalelabError(Exception):
    """The root. ``str(error)`` is one sentence that a client may read."""

    source: ClassVar[Source] = Source.INTERNAL
    retry: ClassVar[Retry] = Retry.NEVER
    status: int = 500
    code: str = "internal_error"
    """A fixed word for logs, metrics and the ``error`` member of a JSON answer."""
    retry_after_s: int | None = None
    """Whole seconds for ``Retry-After``, or None for no such field."""
    allow: tuple[str, ...] = ()
    """Methods for ``Allow``; every 405 names them."""

    def __init__(self, message: str = "", *, retry_after_s: int | None = None) -> None:
        super().__init__(message or (self.__doc__ or "").split("\n")[0])
        if retry_after_s is not None:
            self.retry_after_s = retry_after_s


class ConfigError(ScalelabError):
    """The configuration is wrong.

    ``key`` names it as its writer did (``--ttl``, ``SCALELAB_CACHE_TTL``, ``[cache] ttl``).
    """

    code = "config"

    def __init__(self, key: str, why: str) -> None:
        super().__init__(f"{key}: {why}")
        self.key = key
        self.why = why


# The client's fault


class ClientError(ScalelabError):
    """The request cannot be served as it is."""

    source = Source.CLIENT
    status = 400
    code = "bad_request"


class BadMessage(ClientError):
    """Bytes that break RFC 9112 or a limit; the connection ends with the answer.

    Raised by ``http1`` for requests (``status`` and ``code`` say which rule) and, wrapped into
    ``BadAnswer`` by whoever reads an upstream, for answers.
    """

    def __init__(self, message: str, *, status: int = 400, code: str = "bad_request", allow: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.allow = allow


class BadJSON(ClientError):
    """The body is not the JSON that is wanted."""

    code = "bad_json"


class UnsupportedContentType(ClientError):
    """The body's content type is not application/json."""

    status = 415
    code = "unsupported_content_type"


class BodyTooLarge(ClientError):
    """The body is larger than this server accepts."""

    status = 413
    code = "body_too_large"


class Unauthorized(ClientError):
    """A valid token is needed."""

    status = 401
    code = "unauthorized"


class Forbidden(ClientError):
    """The token does not permit this."""

    status = 403
    code = "forbidden"


class NotFound(ClientError):
    """There is nothing here."""

    status = 404
    code = "not_found"


class MethodNotAllowed(ClientError):
    """The method is not allowed here."""

    status = 405
    code = "method_not_allowed"

    def __init__(self, message: str = "", *, allow: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.allow = allow


class Conflict(ClientError):
    """It exists already, or changed meanwhile."""

    status = 409
    code = "conflict"


class Unprocessable(ClientError):
    """The body is well formed, and asks for something that does not exist here."""

    status = 422
    code = "unprocessable"


class RequestTimeout(ClientError):
    """The request did not arrive in time."""

    status = 408
    code = "request_timeout"


class QueueFull(ClientError):
    """The queue is full; try again later."""

    status = 429
    code = "queue_full"
    retry_after_s = 1


class TooManyRequests(ClientError):
    """More requests than this client may send; try again later."""

    status = 429
    code = "too_many_requests"
    retry_after_s = 1


class ClientGone(ClientError):
    """The client closed its connection before the answer was complete."""

    status = 499  # nginx's number; it stands in logs, never on the wire
    code = "client_gone"


# An upstream's fault


class UpstreamError(ScalelabError):
    """A server behind this one failed."""

    source = Source.UPSTREAM
    status = 502
    code = "upstream_error"


class ConnectError(UpstreamError):
    """A server behind this one does not accept connections."""

    retry = Retry.SAFE
    code = "connect_failed"


class TLSFailed(ConnectError):
    """A server behind this one could not be reached securely."""

    code = "tls_failed"


class ConnectTimeout(UpstreamError):
    """A server behind this one did not accept a connection in time."""

    retry = Retry.SAFE
    status = 504
    code = "connect_timeout"


class NoAnswer(UpstreamError):
    """A server behind this one closed the connection before it answered."""

    retry = Retry.IDEMPOTENT
    code = "no_answer"


class BadAnswer(UpstreamError):
    """A server behind this one sent an answer that is not HTTP/1.1."""

    code = "bad_answer"


class BrokenAnswer(UpstreamError):
    """A server behind this one broke off in the middle of its answer.

    The answer's head is on its way already: the client's connection is aborted, so that it sees
    a broken answer and never a complete one. The status stands in logs only.
    """

    code = "broken_answer"


class AnswerTimeout(UpstreamError):
    """A server behind this one did not answer in time."""

    status = 504
    code = "answer_timeout"


class TotalTimeout(ScalelabError):
    """This request took longer than any may.

    It says nothing about the server: the client may have been the slow one, or the queue.
    """

    status = 504
    code = "total_timeout"


class TunnelTimeout(UpstreamError):
    """Nothing has passed through the tunnel for too long.

    Nobody's fault; both sides are closed. The status stands in logs only.
    """

    status = 504
    code = "tunnel_timeout"


class CommandRefused(UpstreamError):
    """A server behind this one refused a command.

    ``reply`` is its error as it was sent, for logs: a word in capitals that says the kind, then text.
    """

    code = "command_refused"

    def __init__(self, message: str = "", *, reply: str = "") -> None:
        super().__init__(message)
        self.reply = reply

    @property
    def kind(self) -> str:
        """The reply's first word: ``ERR``, ``WRONGTYPE``, ``NOAUTH``."""
        return self.reply.partition(" ")[0]

    @property
    def not_a_master(self) -> bool:
        """Whether the server is a replica (now), which takes no writes."""
        return self.kind == "READONLY"


class DependencyDown(UpstreamError):
    """A service that is needed for this answer is down."""

    status = 503
    code = "dependency_down"
    retry_after_s = 1


# Our own limits


class NoServer(ScalelabError):
    """No healthy server is there to answer."""

    retry = Retry.SAFE
    status = 503
    code = "no_server"
    retry_after_s = 1


class NotInCache(ScalelabError):
    """There is no stored answer to this request, and nothing else was asked for."""

    status = 504  # RFC 9111 section 5.2.1.7
    code = "not_in_cache"


class Overloaded(ScalelabError):
    """Every place is taken and the queue is full; try again later."""

    retry = Retry.SAFE
    status = 503
    code = "overloaded"
    retry_after_s = 1


class ServersBusy(ScalelabError):
    """Every healthy server has as many requests as it may get at once."""

    retry = Retry.SAFE
    status = 503
    code = "servers_busy"
    retry_after_s = 1


class QueueTimeout(ScalelabError):
    """No server had a place for this request in time."""

    retry = Retry.SAFE
    status = 503
    code = "queue_timeout"
    retry_after_s = 1


class Outrun(ScalelabError):
    """Another server answered this request first.

    Nobody's fault, and never told to a client: it stands in the counts of the server that lost.
    """

    code = "outrun"


class WentDown(ScalelabError):
    """The server went down while this request waited for it, and the request was taken away.

    Never told to a client: it stands in the counts of the server, whose checks have judged it already.
    """

    code = "went_down"


class StoreError(ScalelabError):
    """The store cannot take this now."""

    status = 503
    code = "store_unavailable"
    retry_after_s = 1
