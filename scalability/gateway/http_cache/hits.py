"""What a connection remembers of its last hit: the request, and the answer that is ready for it (``prepared``)."""

from scalability.gateway.http_cache.prepared import Prepared
from scalability.http1.request_head import RequestHead


class Known:
    """While a connection repeats ``head``, and what is stored for ``key`` has the same ``version``, the answer is ``prepared``.

    It refers to nothing that is stored: a connection may be idle for long, and what was evicted meanwhile must be free.
    """

    __slots__ = ("head", "key", "prepared", "version")

    def __init__(self, head: RequestHead, key: bytes, version: int, prepared: Prepared) -> None:
        self.head = head
        self.key = key
        self.version = version
        self.prepared = prepared

    def repeated_by(self, head: RequestHead) -> bool:
        """Whether ``head`` says the same, made anew by a policy that edits it each time: it then has the very same field lines."""
        mine = self.head
        return head.shared is mine.shared and head.target == mine.target and head.method == mine.method and head.host == mine.host
