"""A real redis-server or valkey-server for integration tests, without persistence, on a free port of the loopback."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scalability.lab.bench.programs import free_port
from scalability.testing.processes import Process

PROGRAMS = ("redis-server", "valkey-server")


def installed(program: str = "redis-server") -> bool:
    """Whether the server can be started here."""
    return shutil.which(program) is not None


class RedisServer:
    """Started when made; ``port`` accepts connections then. Close it, or use it as a context manager.

    ``options`` are those of redis.conf, as flags: ``["--requirepass", "pw"]``. With ``tls`` it speaks nothing else.
    """

    def __init__(self, folder: Path, *options: str, program: str = "redis-server", port: int | None = None, tls: bool = False) -> None:
        self.port = port or free_port()
        ports: Sequence[str] = ("--port", "0", "--tls-port", str(self.port)) if tls else ("--port", str(self.port))
        flags = [*ports, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(folder), *options]
        self.process = Process([program, *flags], cwd=folder)
        self.process.wait_for("Ready to accept connections")

    def close(self) -> None:
        """End it."""
        self.process.close()

    def __enter__(self) -> "RedisServer":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()
