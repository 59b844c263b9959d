"""Options that contradict each other, and files that cannot be used, are errors before anything starts."""

from pathlib import Path

import pytest

from scalability.balancer.config import BalancerOptions
from scalability.balancer.option_checks import keys_of
from scalability.config import Address, load
from scalability.errors import ConfigError
from scalability.upstream.discovery import Backend


def test_a_file_of_servers_that_cannot_be_taken_in_is_an_error_before_anything_starts(tmp_path: Path) -> None:
    file = tmp_path / "servers.txt"
    options = BalancerOptions(backend=(Backend.parse(f"file:{file}"),))
    with pytest.raises(ConfigError, match=r"--backend: cannot read .*servers.txt: No such file"):
        options.check_files()
    file.write_text("127.0.0.1:80\nnonsense\n")
    with pytest.raises(ConfigError, match=r"--backend: .*servers.txt: line 2: 'nonsense' is not HOST:PORT"):
        options.check_files()
    file.write_text("127.0.0.1:80\n")
    options.check_files()


def test_a_file_of_servers_whose_limits_the_workers_cannot_share_is_an_error_too(tmp_path: Path) -> None:
    file = tmp_path / "servers"
    file.write_text("a:1\nb:1,maxconn=1\n")
    BalancerOptions(backend=(Backend.parse(f"file:{file}"),)).check_files()
    with pytest.raises(ConfigError, match="line 2: 2 workers cannot share the maxconn=1 of b:1"):
        BalancerOptions(backend=(Backend.parse(f"file:{file}"),), workers=2).check_files()


def test_no_two_listeners_may_have_one_address(tmp_path: Path) -> None:
    flags: dict[str, str | list[str]] = {"tls_cert": [str(tmp_path)], "listen": "127.0.0.1:1", "tls_listen": "127.0.0.1:1"}
    with pytest.raises(ConfigError, match=r"--tls-listen: 127\.0\.0\.1:1 is what --listen listens on already"):
        load(BalancerOptions, flags=flags, environ={}, file=None)
    load(
        BalancerOptions,
        flags={**flags, "listen": "127.0.0.1:0", "tls_listen": "127.0.0.1:0", "admin": "127.0.0.1:0"},
        environ={},
        file=None,
    )
    # a name may lead elsewhere, and a server on the same port of another host is another one
    load(BalancerOptions, flags={"backend": ["dns:127.0.0.1:8000", "127.0.0.2:8000"]}, environ={}, file=None)


def test_an_access_log_that_cannot_be_written_is_an_error_before_anything_starts(tmp_path: Path) -> None:
    BalancerOptions(access_log=tmp_path / "access.log").check_files()
    BalancerOptions().check_files()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ConfigError, match="is a folder"):
        BalancerOptions(access_log=tmp_path).check_files()
    with pytest.raises(ConfigError, match="there is no folder"):
        BalancerOptions(access_log=tmp_path / "none" / "access.log").check_files()


def test_an_access_log_without_the_right_to_write_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # the tests may run as root, who may write everywhere
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(ConfigError, match="cannot be written"):
        BalancerOptions(access_log=tmp_path / "access.log").check_files()


@pytest.mark.parametrize("admin", ["127.0.0.1:0", "127.9.9.9:1", "[::1]:0", "localhost:0", ":0"])
def test_an_admin_listener_on_loopback_needs_no_token(admin: str) -> None:
    assert load(BalancerOptions, flags={"admin": admin}, environ={}, file=None).admin == Address.parse(admin)


@pytest.mark.parametrize("admin", ["0.0.0.0:1", "[::]:1", "10.0.0.1:1", "balancer:1"])
def test_one_that_others_can_reach_needs_one(admin: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"admin.*other machines.*--admin-token-file"):
        load(BalancerOptions, flags={"admin": admin}, environ={}, file=None)
    file = tmp_path / "token"
    options = load(BalancerOptions, flags={"admin": admin, "admin_token_file": str(file)}, environ={}, file=None)
    with pytest.raises(ConfigError, match=r"--admin-token-file: cannot read"):
        options.check_files()
    file.write_text("0123456789abcdef")
    options.check_files()


def test_a_file_of_keys_is_read_before_anything_starts_and_its_errors_never_show_a_key(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    options = BalancerOptions(sticky="cookie", sticky_key_file=file)
    with pytest.raises(ConfigError, match="--sticky-key-file: cannot read"):
        options.check_files()
    file.write_text("secret\n")
    with pytest.raises(ConfigError, match="line 1: a key has at least 32 characters") as error:
        options.check_files()
    assert "secret" not in str(error.value)
    file.write_text("# the first signs\n" + "a" * 32 + "\n" + "b" * 40 + "\n")
    options.check_files()
    assert keys_of(file) == (b"a" * 32, b"b" * 40)
    file.write_bytes(b"\xff" * 40)
    with pytest.raises(ConfigError, match="not ASCII"):
        keys_of(file)
