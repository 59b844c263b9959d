"""A backend that misbehaves as it is told: a process of its own, of nothing but the standard library, so that it is there in 0.1 s.

    python -m scalability.testing.faulty_backend HOST:PORT [FAULT [FAULT]]

The first fault is what becomes of requests, the second what becomes of checks, that is, of ``/health``; both are ``good`` unless
named. ``PUT /behave/FAULT/FAULT``, which is always answered 204, changes them for what comes after.

    good        200, with the request's target and then its body as the body: an answer that reaches the wrong request can be told
    slow:S      the same after S seconds
    status:N    a JSON answer of this status
    mute        the request is read and never answered
    closes      the connection is closed without an answer
    cuts        it is closed within the head of the answer
    babbles     what comes is no HTTP

A signal ends it as it ends any process that has not thought of it: at once, with all its connections.
"""

import os
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Thread

FAULTS = ("good", "slow", "status", "mute", "closes", "cuts", "babbles")
HEALTH = b"/health"
BEHAVE = b"/behave/"
MAX_LINE = 65536


def checked(fault: str) -> str:
    """``fault`` if there is such a one. Raises ValueError."""
    word, _, figure = fault.partition(":")
    if word not in FAULTS or bool(figure) != (word in ("slow", "status")):
        raise ValueError(f"there is no fault {fault!r}; there are {', '.join(FAULTS)}")
    if figure:
        float(figure)
    return fault


def answer(status: int, body: bytes) -> bytes:
    """A complete answer of a connection that stays."""
    return b"HTTP/1.1 %d X\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)


class Conversation(StreamRequestHandler):
    """One connection: requests, one after the other, with bodies of a length that is told."""

    disable_nagle_algorithm = True
    server: "FaultyBackend"

    def handle(self) -> None:
        with suppress(OSError):
            while (request := self._read()) is not None and self._serve(*request):
                pass

    def _read(self) -> tuple[bytes, bytes, bytes] | None:
        """The method, target and body of the next request; None when there is none."""
        words = self.rfile.readline(MAX_LINE).split()
        length = 0
        while (line := self.rfile.readline(MAX_LINE)) not in (b"\r\n", b""):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        body = self.rfile.read(length)
        return (words[0], words[1], body) if len(words) == 3 and len(body) == length else None

    def _serve(self, method: bytes, target: bytes, body: bytes) -> bool:
        """Do with a request what is to be done. True while the connection stays."""
        server = self.server
        if method == b"PUT" and target.startswith(BEHAVE):
            server.behave(*target.removeprefix(BEHAVE).decode("ascii").split("/"))
            self.wfile.write(b"HTTP/1.1 204 X\r\n\r\n")
            return True
        fault, _, figure = (server.of_checks if target == HEALTH else server.of_requests).partition(":")
        match fault:
            case "mute":
                self.rfile.read()  # until the other side gives up
                return False
            case "closes":
                return False
            case "cuts":
                self.wfile.write(answer(200, target)[:20])
                return False
            case "babbles":
                self.wfile.write(b"220 mail.example ESMTP ready\r\n\r\n")
                return False
            case "status":
                self.wfile.write(answer(int(figure), b'{"error": "told_to"}'))
                return True
            case "slow":
                time.sleep(float(figure))  # a thread of its own
        self.wfile.write(answer(200, target + body))
        return True


class FaultyBackend(ThreadingTCPServer):
    """Listens at once on ``address``; ``serve_forever`` serves, with a thread for each connection."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, address: tuple[str, int], of_requests: str = "good", of_checks: str = "good") -> None:
        self.behave(of_requests, of_checks)
        super().__init__(address, Conversation)

    def behave(self, of_requests: str, of_checks: str = "good") -> None:
        """From now on treat requests and checks like this. Raises ValueError for a fault that there is not."""
        self.of_requests, self.of_checks = checked(of_requests), checked(of_checks)


def end_with_parent() -> None:
    """End when the standard input does, as ``scalability.lifecycle.parent`` has it."""
    while os.read(0, 4096):
        pass
    os._exit(0)


def main(arguments: Sequence[str]) -> None:
    where, *faults = arguments
    host, _, port = where.rpartition(":")
    server = FaultyBackend((host, int(port)), *faults)
    if os.environ.get("SCALELAB_PARENT_PIPE") == "1":
        Thread(target=end_with_parent, daemon=True).start()
    sys.stdout.write(f"faulty backend listens on {host}:{server.server_address[1]}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1:])
