"""The examples of docs/access.md are configurations that work."""

import re
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.task import Clock

from scalability.config import load, render
from scalability.gateway.access.api_keys import read_ring
from scalability.gateway.access.assembly import Access
from scalability.gateway.access.key_files import check_files
from scalability.gateway.config import GatewayOptions
from scalability.testing.processes import CHECKOUT
from scalability.testing.signing import SECRET

PAGE = (CHECKOUT / "docs" / "access.md").read_text()
EXAMPLES = re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With the files that the examples name."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "jwt.secret").write_bytes(SECRET)
    (tmp_path / "api.keys").write_text("# nobody yet\n")
    return tmp_path


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 4


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_an_example_is_a_configuration_whose_routes_have_policies(example: str, folder: Path) -> None:
    (file := folder / "lab.toml").write_text(example)
    options = load(GatewayOptions, flags={}, environ={}, file=file)
    access = Access(Clock(), jwt=options.jwt(), rate_limit=options.rate_limit)
    for route in options.all_routes:
        check_files(route.path, route.api_keys, route.jwt, options.jwt())
        assert access.for_route(route) is not None
    file.write_text(render(options))
    assert load(GatewayOptions, flags={}, environ={}, file=file) == options


def test_the_one_liner_makes_a_key(folder: Path) -> None:
    import subprocess

    (line,) = [line for line in PAGE.splitlines() if line.startswith("key=$(openssl")]
    made = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=True, cwd=folder)
    assert read_ring((folder / "api.keys").read_bytes()).holder(made.stdout.strip().encode()) == "app"


def test_every_option_of_a_table_stands_in_the_page() -> None:
    from scalability.gateway.access import config
    from scalability.gateway.rate_limits.config import LimitOptions, RateLimitOptions

    tables: list[Any] = [config.JWTOptions, config.APIKeyOptions, config.CorsOptions, LimitOptions, RateLimitOptions]
    missing = [name for table in tables for name in table.__struct_encode_fields__ if not re.search(rf"\b{name}\b", PAGE)]
    assert missing == []
