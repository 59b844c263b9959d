"""The whole lab on ports of its own, for tests: ``twistd -n scalelab`` with a configuration that names them."""

import os
import random
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scalability.config.load import to_toml
from scalability.testing.processes import Process

OFFSETS = {"lb": 0, "gateway": 1, "microservice": 2, "database": 3, "cache": 5, "worker": 6}
"""Each component's port above the base. The second gateway listens three above the first, the next on six and seven above it."""

SPAN = 16
ADMIN = 10_000


@dataclass(frozen=True)
class Lab:
    """A lab that is ready. ``process`` is the supervisor."""

    process: Process
    base: int
    config: Path

    def port(self, component: str) -> int:
        """The main port of a component; of the first gateway."""
        return self.base + OFFSETS[component]

    @property
    def gateways(self) -> tuple[int, int]:
        """The ports of the two gateways."""
        return self.port("gateway"), self.port("gateway") + 3


def free_base() -> int:
    """A port with ``SPAN`` free ones from it upward, and as many ten thousand above. Chosen at random: test runs may stand side by side."""
    for _ in range(100):
        base = random.randrange(12_000, 30_000, SPAN)  # below the ports that the kernel gives to clients
        if all(_is_free(port) for start in (base, base + ADMIN) for port in range(start, start + SPAN)):
            return base
    raise RuntimeError("no free range of ports")


def write_config(file: Path, base: int, more: Mapping[str, Mapping[str, Any]] | None = None) -> None:
    """The lab's TOML: every component's address, and ``more`` by table."""
    tables: dict[str, dict[str, Any]] = {name: {"listen": f"127.0.0.1:{base + offset}"} for name, offset in OFFSETS.items()}
    for name, values in (more or {}).items():
        tables.setdefault(name, {}).update(values)
    lines = [line for name, values in tables.items() for line in (f"[{name}]", *(f"{k} = {to_toml(v)}" for k, v in values.items()))]
    file.write_text("\n".join(lines) + "\n")


@contextmanager
def whole_lab(directory: Path, *flags: str, more: Mapping[str, Mapping[str, Any]] | None = None) -> Iterator[Lab]:
    """A lab in ``directory``, ready; ended with the block."""
    base, config = free_base(), directory / "lab.toml"
    write_config(config, base, more)
    with Process.start(
        "scalelab", "--data-dir", os.fspath(directory / "data"), *flags, config=os.fspath(config), cwd=directory, listen=None
    ) as process:
        process.wait_for(r"everything is ready|lab is ready", timeout_s=40)
        yield Lab(process, base, config)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
