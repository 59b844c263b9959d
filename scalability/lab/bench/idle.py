"""What a proxy holds in memory for a client that is connected and says nothing."""

import socket
from contextlib import ExitStack

from scalability.lab.bench.cpu import family_resident_bytes
from scalability.lab.bench.programs import Program
from scalability.lab.bench.wrk import BROWSER_FIELDS

CONNECTIONS = 2000
WARM_UP = 200


def request(number: int) -> bytes:
    """A browser's request; each client's cookie is its own."""
    fields = "".join(f"{field}\r\n" for field in BROWSER_FIELDS).replace("session=", f"session={number:08d}")
    return f"GET /data HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n{fields}\r\n".encode()


def bytes_per_idle_connection(program: Program, connections: int = CONNECTIONS, warm_up: int = WARM_UP) -> float:
    """Resident bytes of ``program`` for each of ``connections`` clients that have sent one request and stay connected.

    ``warm_up`` others come first, so that what a process makes once is not counted.
    """
    with ExitStack() as clients:
        for number in range(warm_up):
            _ask(clients, program.port, number)
        before = family_resident_bytes(program.pid)
        for number in range(warm_up, warm_up + connections):
            _ask(clients, program.port, number)
        return (family_resident_bytes(program.pid) - before) / connections


def _ask(clients: ExitStack, port: int, number: int) -> None:
    client = clients.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
    client.sendall(request(number))
    answer = b""
    while not answer.endswith(b'....."}'):
        piece = client.recv(65536)
        if not piece:
            raise RuntimeError(f"no complete answer: {answer[:200]!r}")
        answer += piece
