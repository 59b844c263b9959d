"""The command line of ``scalelab-gateway``."""

from pathlib import Path

import pytest

from scalability.gateway.tap import Options, makeService
from scalability.lifecycle import OrderedService


def test_flags_become_options() -> None:
    options = Options()
    options.parseOptions(["--ttl", "5", "--stale-ttl", "0", "--cache", "memory:"])
    assert (options.config.ttl_s, options.config.stale_ttl_s, str(options.config.cache)) == (5.0, 0.0, "memory:")


@pytest.mark.parametrize("flag", ["--route"])
def test_what_comes_later_is_not_accepted_yet(flag: str) -> None:
    with pytest.raises(SystemExit, match=flag.strip("-")):
        Options().parseOptions([flag, "x"])


def test_a_secret_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"^scalelab-gateway: --jwt-secret-file: cannot read"):
        Options().parseOptions(["--jwt-secret-file", str(tmp_path / "none")])


def test_the_service_is_made_without_listening() -> None:
    options = Options()
    options.parseOptions(["--listen", "127.0.0.1:0"])
    service = makeService(options)
    assert isinstance(service, OrderedService)
    assert not service.running


def test_a_description_that_cannot_be_used_is_one_line(tmp_path: Path) -> None:
    document = tmp_path / "api.json"
    document.write_text('{"openapi": "2.0"}')
    file = tmp_path / "gateway.toml"
    file.write_text(f'[[gateway.routes]]\nprefix = "/a"\nurl = "http://127.0.0.1:1"\nvalidate = {{file = "{document}"}}\n')
    with pytest.raises(SystemExit, match=r"^scalelab-gateway: routes /a validate: .*api\.json: openapi: only the versions"):
        Options().parseOptions(["--config", str(file)])
