"""An exchange without a connection, for policies: what was added to its answer, what it was answered."""

from collections.abc import Sequence

from scalability.errors import BodyTooLarge
from scalability.http1.fields import Field
from scalability.http1.limits import DEFAULT_LIMITS
from scalability.http1.request_head import RequestHead, parse_request_head


def head_of(*fields: str, method: str = "GET", target: str = "/") -> RequestHead:
    """A request's head, with ``Name: value`` lines."""
    lines = [f"{method} {target} HTTP/1.1", "Host: test", *fields]
    return parse_request_head(("\r\n".join(lines) + "\r\n\r\n").encode(), DEFAULT_LIMITS)


class FakeExchange:
    """Has the shape of the gateway's exchange, as far as policies look at it."""

    def __init__(self, *fields: str, method: str = "GET", target: str = "/", peer_host: str = "192.0.2.1", body_bytes: int = 0) -> None:
        self.head = head_of(*fields, method=method, target=target)
        self.added: list[Field] = []
        self.authenticated = False
        self.consumer = b""
        self.client_host = b""
        self.peer_host = peer_host.encode()
        self.begun = False
        self.status = 0
        self.body_bytes = body_bytes

    def limit_body(self, max_bytes: int) -> None:
        """As the exchange's."""
        if self.body_bytes > max_bytes:
            raise BodyTooLarge

    def answer(self, status: int, body: bytes, content_type: bytes = b"", fields: Sequence[Field] = ()) -> None:
        """As the exchange's."""
        self.begun = True
        self.status = status

    def said(self, name: str) -> list[str]:
        """The values that were added under ``name``."""
        return [value.decode() for known, value in self.added if known.lower() == name.lower().encode()]
