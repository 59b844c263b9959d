"""Who may change something: the token, its file, and what becomes of both."""

import os
from pathlib import Path
from typing import Any

import pytest
from twisted.web.http_headers import Headers

from scalability.api.admin_token import MAX_BYTES, AdminToken, read_token
from scalability.errors import ConfigError, Forbidden, Unauthorized

TOKEN = "0123456789abcdef"


class Asked:
    """As much of a request as is looked at."""

    method, path = b"PUT", b"/servers/a/state"

    def __init__(self, *authorization: str) -> None:
        self.requestHeaders = Headers({"Authorization": authorization} if authorization else {})


def check(token: AdminToken, *authorization: str) -> None:
    request: Any = Asked(*authorization)
    token.check(request)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(f"  {TOKEN}\n")
    return path


def test_the_token_in_the_file_lets_changes_through(file: Path) -> None:
    check(AdminToken(file), f"Bearer {TOKEN}")
    check(AdminToken(file), f"bearer   {TOKEN} ")


@pytest.mark.parametrize(
    "authorization",
    [(), ("",), ("Bearer",), (f"Basic {TOKEN}",), (TOKEN,), (f"Bearer {TOKEN[:-1]}",), (f"Bearer {TOKEN}x",), (f"Bearer {TOKEN}",) * 2],
)
def test_anything_else_does_not(file: Path, authorization: tuple[str, ...]) -> None:
    with pytest.raises(Unauthorized, match="--admin-token-file"):
        check(AdminToken(file), *authorization)


def test_without_a_file_nobody_may_change_anything_and_is_told_what_to_do() -> None:
    with pytest.raises(Forbidden, match="start this server with --admin-token-file FILE"):
        check(AdminToken(None), f"Bearer {TOKEN}")


def test_a_file_that_has_changed_is_read_anew(file: Path) -> None:
    token = AdminToken(file)
    check(token, f"Bearer {TOKEN}")
    file.write_text("fedcba9876543210")
    os.utime(file, ns=(1, 1))
    check(token, "Bearer fedcba9876543210")
    with pytest.raises(Unauthorized):
        check(token, f"Bearer {TOKEN}")


def test_one_that_is_gone_or_no_token_any_more_takes_the_old_one_along(file: Path) -> None:
    token = AdminToken(file)
    check(token, f"Bearer {TOKEN}")
    file.write_text("short")
    os.utime(file, ns=(1, 1))
    with pytest.raises(Forbidden, match="until the file"):
        check(token, f"Bearer {TOKEN}")
    file.unlink()
    with pytest.raises(Forbidden):
        check(token, f"Bearer {TOKEN}")
    file.write_text(TOKEN)
    check(token, f"Bearer {TOKEN}")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "at least 16 characters"),
        (b"0123456789abcde\n", "at least 16 characters"),
        (b"0123456789 abcdef", "without a space"),
        (b"0123456789\nabcdef01", "is no token"),
        (b"\xff" * 20, "is no token"),
        (b"x" * (MAX_BYTES + 1), "more than 4096 bytes"),
    ],
)
def test_what_is_no_token_is_an_error_that_does_not_show_it(tmp_path: Path, content: bytes, why: str) -> None:
    file = tmp_path / "token"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=f"^--admin-token-file: .*{why}") as error:
        read_token(file)
    assert not content.strip() or content.strip().decode("latin-1") not in str(error.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read .*none: No such file"):
        read_token(tmp_path / "none")
