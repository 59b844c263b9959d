"""A lab for tests stands on free ports and is configured by TOML."""

import socket
import tomllib
from pathlib import Path

from scalability.testing.lab import ADMIN, OFFSETS, SPAN, free_base, write_config


def test_every_port_of_a_free_base_can_be_bound() -> None:
    base = free_base()
    for port in (base, base + SPAN - 1, base + ADMIN):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", port))


def test_no_two_components_share_a_port() -> None:
    gateways = {OFFSETS["gateway"] + offset for offset in (0, 3)}
    others = {offset for name, offset in OFFSETS.items() if name != "gateway"}
    assert len(others) == len(OFFSETS) - 1
    assert not gateways & others


def test_the_configuration_is_toml_with_a_table_each(tmp_path: Path) -> None:
    write_config(tmp_path / "lab.toml", 20_000, {"gateway": {"ttl": 1.5}, "lab": {"gateways": 3}})
    tables = tomllib.loads((tmp_path / "lab.toml").read_text())
    assert tables["gateway"] == {"listen": "127.0.0.1:20001", "ttl": 1.5}
    assert tables["lab"] == {"gateways": 3}
