"""Which processes the lab is made of, on which addresses, wired how: worked out before anything starts.

Every server reads its own table of the configuration and its own environment; the lab adds as flags only what
nobody has set: the URLs of its neighbours, the balancer's backends, the stores in the data folder, and an admin
listener ten thousand ports above the main one.
"""

import os
import socket
import sys
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from scalability.config import Address, Options, ServerOptions, load, render
from scalability.errors import ConfigError
from scalability.lab.child import LOGGER
from scalability.lab.config import LabOptions
from scalability.lab.supervisor import ChildSpec

ADMIN_OFFSET = 10_000
"""The admin listener's distance from the main one."""

STORES = {"database": "database.sqlite3", "worker": "tasks.sqlite3"}
"""The file that a component's store is, in the data folder."""

NEIGHBOURS = ("cache", "database", "microservice", "worker")
"""What the gateways ask, each by the flag of its name. Started first, in this order, and stopped last."""

RANKS = {"gateway": 1, "lb": 2}
ROOMS = {"lb": "balancer"}


def gateway_offset(index: int) -> int:
    """Ports from the first gateway to the gateway ``index``, counted from 0: 5000, 5003, 5006, 5007, ..."""
    return (0, 3)[index] if index < 2 else index + 4


@dataclass(frozen=True)
class ChildPlan:
    """One process: ``flags`` are what the lab adds to its command line."""

    name: str
    component: str
    plugin: str
    options: ServerOptions
    flags: tuple[tuple[str, str], ...]
    file: Path | None

    @property
    def listen(self) -> Address:
        return self.options.listen

    @property
    def admin(self) -> Address:
        assert self.options.admin is not None  # the lab gives each one
        return self.options.admin

    def spec(self) -> ChildSpec:
        """The command that runs it: this interpreter, unbuffered, and the server's own plugin."""
        config = ["--config", str(self.file)] if self.file is not None else []
        flags = [part for name, value in self.flags for part in (f"--{name}", value)]
        argv = [sys.executable, "-u", "-m", "scalability.lab.child", "-n", f"--logger={LOGGER}", self.plugin, *config, *flags]
        return ChildSpec(self.name, argv, RANKS.get(self.component, 0))


@dataclass(frozen=True)
class LabPlan:
    """The whole lab: its children in the order of their start."""

    options: LabOptions
    children: tuple[ChildPlan, ...]

    def of(self, component: str) -> list[ChildPlan]:
        return [child for child in self.children if child.component == component]

    def addresses(self) -> list[tuple[str, Address]]:
        """Every address that the lab will listen on, and for whom."""
        own = [("the lab's admin listener", self.options.admin)] if self.options.admin is not None else []
        return own + [pair for c in self.children for pair in ((c.name, c.listen), (f"{c.name}'s admin listener", c.admin))]

    def render(self) -> str:
        """The effective configuration, a table per component, as ``--config`` reads it again."""
        first = {child.component: child for child in reversed(self.children)}
        tables = [self.options, *(first[component].options for component in ("lb", "gateway", *NEIGHBOURS))]
        return "\n\n".join(render(options) for options in tables)


class Planner:
    """Reads the tables of ``file`` and the environment, and works out who listens where. Raises ConfigError.

    ``check_only``: nothing will be started, so that the servers' own checks may do what a start leaves to the children
    (import a user's task modules).
    """

    def __init__(self, options: LabOptions, *, environ: Mapping[str, str], file: Path | None, check_only: bool = False) -> None:
        self._check_only = check_only
        self._options = options
        self._environ = environ
        self._file = file.absolute() if file is not None else None
        tables = tomllib.loads(file.read_text()) if file is not None else {}
        self._tables = {name: table for name, table in tables.items() if isinstance(table, dict)}  # load says what is wrong with others

    def plan(self) -> LabPlan:
        """The whole lab, checked: no two listeners on one address, every table sound."""
        neighbours = [self._child(component, component, self._store(component)) for component in NEIGHBOURS]
        urls = {child.component: f"http://{reachable(child.listen)}" for child in neighbours if not self._given("gateway", child.component)}
        gateways = [self._gateway(index, urls) for index in range(self._options.gateways)]
        backends = {} if self._given("lb", "backend") else {"backend": [str(reachable(gateway.listen)) for gateway in gateways]}
        plan = LabPlan(self._options, (*neighbours, *gateways, self._child("lb", "lb", backends)))
        self._check_addresses(plan)
        return plan

    def _given(self, component: str, key: str) -> bool:
        return key in self._tables.get(component, {}) or f"SCALELAB_{component.upper()}_{key.upper()}" in self._environ

    def _store(self, component: str) -> dict[str, Any]:
        if component not in STORES or self._given(component, "store"):
            return {}
        return {"store": f"sqlite:{os.path.abspath(os.path.join(self._options.data_dir, STORES[component]))}"}

    def _gateway(self, index: int, urls: Mapping[str, str]) -> ChildPlan:
        flags: dict[str, Any] = dict(urls)
        if index:
            offset = gateway_offset(index)
            first = self._child("gateway", "gateway-1", urls)
            flags["listen"] = str(_moved(first.listen, offset, "gateway", "listen"))
            flags["admin"] = str(_moved(first.admin, offset, "gateway", "admin"))
        return self._child("gateway", f"gateway-{index + 1}", flags)

    def _child(self, component: str, name: str, flags: Mapping[str, Any]) -> ChildPlan:
        line = command_line_of(component)
        options = self._load(line.options_class, flags)
        if options.admin is None:
            admin = _moved(Address("127.0.0.1", options.listen.port), ADMIN_OFFSET, component, "admin")
            flags = {**flags, "admin": str(admin)}
            options = self._load(line.options_class, flags)
        line["check-config"] = self._check_only
        line.check(options)
        listed = [(key.replace("_", "-"), str(v)) for key, value in flags.items() for v in (value if isinstance(value, list) else [value])]
        return ChildPlan(name, component, line.plugin, options, tuple(listed), self._file)

    def _load(self, cls: type[Options], flags: Mapping[str, Any]) -> Any:
        return load(cls, flags=flags, environ=self._environ, file=self._file)

    def _check_addresses(self, plan: LabPlan) -> None:
        seen: dict[tuple[str, int], str] = {}
        for who, address in plan.addresses():
            if address.port == 0:
                raise ConfigError(f"{who}: {address}", "the lab needs ports that its servers can know of each other; 0 names none")
            if address in seen:
                raise ConfigError(f"{who}: {address}", f"{seen[address]} listens there")
            seen[address] = who


def command_line_of(component: str) -> Any:
    """The component's own command line: its options, its name, and its check of what only the machine can tell."""
    return import_module(f"scalability.{ROOMS.get(component, component)}.tap").Options()


def reachable(address: Address) -> Address:
    """Where a neighbour on this machine finds a server that listens on ``address``."""
    return Address({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address.host, address.host), address.port)


def taken(addresses: Iterable[tuple[str, Address]]) -> str | None:
    """What stands in the way of listening on each of ``addresses``, in one sentence; None when nothing does."""
    for who, address in addresses:
        family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(address)
                probe.listen(1)
            except OSError as error:
                return f"cannot listen on {address} for {who}: {error.strerror or error}; is the lab running already?"
    return None


def _moved(address: Address, offset: int, component: str, key: str) -> Address:
    port = address.port + offset
    if port > 65535:
        raise ConfigError(f"[{component}] {key}", f"{address.port} + {offset} is above 65535; set it")
    return Address(address.host, port)
