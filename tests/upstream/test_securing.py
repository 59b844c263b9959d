"""TLS towards servers."""

from pathlib import Path

import pytest

from scalability.errors import ConfigError
from scalability.testing.memory import MemoryNetwork
from scalability.upstream.securing import securing


def test_a_server_without_a_name_speaks_plain_http_and_openssl_is_not_asked() -> None:
    assert securing(MemoryNetwork(), ca=None, verify=True)("") is None


def test_a_file_of_authorities_that_is_none_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        securing(MemoryNetwork(), ca=tmp_path / "missing.pem", verify=True)


def test_a_name_has_its_connections_wrapped() -> None:
    assert securing(MemoryNetwork(), ca=None, verify=False)("shop.test") is not None
