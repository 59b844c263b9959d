"""What whoever sends a request to a server behind us is told of its answer, and in which order (``net.client_connection`` calls)."""

from typing import Protocol

from scalability.errors import UpstreamError
from scalability.http1.response_head import ResponseHead


class AnswerReceiver(Protocol):
    """Whoever sent a request. The calls come in this order, and none after one with ``ended`` true or ``answer_failed``."""

    def answer_interim(self, head: ResponseHead) -> None:
        """A 1xx answer came; the final one is still expected."""

    def answer_received(self, head: ResponseHead, data: bytes, ended: bool) -> None:
        """The final answer's head, with as much of the body as came along; ``ended``: that was all of it."""

    def answer_data(self, data: bytes, ended: bool) -> None:
        """More of the body; ``data`` may be empty when ``ended``."""

    def answer_failed(self, error: UpstreamError) -> None:
        """There will be no (complete) answer. The connection is closed."""

    def upload_paused(self) -> None:
        """More than 64 KiB of the request wait to be sent: stop writing."""

    def upload_resumed(self) -> None:
        """All of it is sent: go on."""


class SwitchReceiver(AnswerReceiver, Protocol):
    """Whoever sent a request that may switch protocols."""

    def answer_switched(self, head: ResponseHead, data: bytes) -> None:
        """101 came, for a protocol that was asked for, and ``data`` behind it; call ``ClientConnection.enter_tunnel``."""

    def server_finished(self) -> None:
        """In a tunnel: the server has sent its FIN, and may still read."""
