"""What a route names is looked at before anything runs."""

from pathlib import Path

import pytest

from scalability.errors import ConfigError
from scalability.gateway.access.api_keys import line_for
from scalability.gateway.access.config import APIKeyOptions, JWTOptions
from scalability.gateway.access.key_files import check_files
from scalability.testing.signing import SECRET


def test_files_that_can_be_read_are_fine(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(SECRET)
    (tmp_path / "keys").write_text(line_for("app", "k" * 40))
    jwt = JWTOptions(secret_file=str(tmp_path / "secret"))
    check_files("/a", APIKeyOptions(file=str(tmp_path / "keys")), jwt, None)
    check_files("/a", None, JWTOptions(), jwt)
    check_files("/a", None, None, None)


def test_others_are_errors_that_name_the_route(tmp_path: Path) -> None:
    nothing = str(tmp_path / "none")
    with pytest.raises(ConfigError, match=r"^\[gateway\] routes /a api_keys: cannot read"):
        check_files("/a", APIKeyOptions(file=nothing), None, None)
    with pytest.raises(ConfigError, match=r"^\[gateway\] routes /a jwt: cannot read"):
        check_files("/a", None, JWTOptions(secret_file=nothing), None)
    with pytest.raises(ConfigError, match=r"^\[gateway\] api_keys: cannot read"):
        check_files("", APIKeyOptions(file=nothing), None, None)


def test_a_route_that_asks_for_tokens_needs_a_key_from_somewhere() -> None:
    with pytest.raises(ConfigError, match=r"^\[gateway\] routes /a jwt: there is no key"):
        check_files("/a", None, JWTOptions(), None)
