"""The tables jwt, api_keys and cors."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from scalability.errors import ConfigError
from scalability.gateway.access import config
from scalability.gateway.access.config import APIKeyOptions, CorsOptions, JWTOptions, read_public_key, read_secret
from scalability.testing.signing import SECRET, ec_key, pem, rsa_key


def test_a_table_jwt_may_be_empty_and_then_uses_the_keys_of_the_gateway() -> None:
    options = msgspec.convert({}, JWTOptions)
    assert (options.has_keys, options.required(), options.forward, options.leeway_s) == (False, [], False, 0.0)
    assert options.fixed_keys("x") == []


def test_keys_come_from_files(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(SECRET + b"\n")
    (tmp_path / "rsa").write_bytes(pem(rsa_key()))
    (tmp_path / "ec").write_bytes(pem(ec_key()))
    table = {
        "secret_file": str(tmp_path / "secret"),
        "public_key_files": [str(tmp_path / "rsa"), str(tmp_path / "ec")],
        "require": ["role=admin", "path=/a=b"],
        "leeway": 5,
    }
    options = msgspec.convert(table, JWTOptions)
    assert options.has_keys
    assert options.leeway_s == 5
    assert [key.algorithm for key in options.fixed_keys("x")] == ["HS256", "RS256", "ES256"]
    assert options.required() == [("role", "admin"), ("path", "/a=b")]


@pytest.mark.parametrize(
    "table",
    [
        {"jwks_url": "ftp://a"},
        {"require": ["role"]},
        {"require": ["=admin"]},
        {"leeway": -1},
        {"leeway": 301},
        {"subject_field": "a b"},
        {"subject_field": "Content-Length"},
        {"unknown": 1},
        {"algorithms": ["none"]},
    ],
)
def test_a_bad_table_jwt_is_refused(table: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(table, JWTOptions)


@pytest.mark.parametrize(
    "table",
    [
        {},
        {"file": "k", "field": "Host"},
        {"file": "k", "field": ""},
        {"file": "k", "consumer_field": "a:b"},
        {"file": "k", "parameter": "a&b"},
    ],
)
def test_a_bad_table_api_keys_is_refused(table: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(table, APIKeyOptions)


def test_a_good_table_api_keys() -> None:
    options = msgspec.convert({"file": "k"}, APIKeyOptions)
    assert (options.field, options.parameter, options.consumer_field, options.forward) == ("X-API-Key", "", "X-Consumer", False)


@pytest.mark.parametrize(
    "table",
    [
        {},
        {"origins": []},
        {"origins": ["app.example"]},
        {"origins": ["https://app.example/"]},
        {"origins": ["https://*.example"]},
        {"origins": ["*"], "credentials": True},
        {"origins": ["https://app.example"], "credentials": True, "expose": ["*"]},
        {"origins": ["*"], "methods": ["GET POST"]},
        {"origins": ["*"], "headers": ["a\r\nb"]},
        {"origins": ["*"], "max_age": -1},
    ],
)
def test_a_bad_table_cors_is_refused(table: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(table, CorsOptions)


def test_a_good_table_cors() -> None:
    options = msgspec.convert({"origins": ["https://app.example", "null"], "credentials": True, "max_age": 5}, CorsOptions)
    assert dict(options.cors().preflight(_preflight()))[b"Access-Control-Max-Age"] == b"5"


def _preflight() -> Any:
    from scalability.testing.exchanges import head_of

    return head_of("Origin: null", "Access-Control-Request-Method: PUT", method="OPTIONS")


def test_files_that_hold_no_key_are_errors_that_name_the_option(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (file := tmp_path / "key").write_bytes(pem(rsa_key()))
    with pytest.raises(ConfigError, match=r"^--jwt-secret-file: .*key is a key of another kind"):
        read_secret(str(file))
    with pytest.raises(ConfigError, match=r"^--jwt-secret-file: cannot read .*none: No such file"):
        read_secret(str(tmp_path / "none"))
    file.write_bytes(SECRET)
    with pytest.raises(ConfigError, match=r"^\[gateway\] jwt: .*key is neither a public key"):
        read_public_key(str(file), "[gateway] jwt")
    monkeypatch.setattr(config, "MAX_KEY_FILE_BYTES", 3)
    with pytest.raises(ConfigError, match="more than 3 bytes"):
        read_secret(str(file))
