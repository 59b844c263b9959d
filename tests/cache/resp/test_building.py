"""The RESP front is made of the options."""

from pathlib import Path

import pytest
from twisted.internet.task import Clock

from scalability.cache.config import CacheOptions
from scalability.cache.entries import Entries
from scalability.cache.resp.building import resp_front
from scalability.cache.resp.connection import RESPFactory
from scalability.config import Address
from scalability.ttlcache import TTLCache


def factory(options: CacheOptions) -> RESPFactory:
    front = resp_front(Clock(), options, Entries(TTLCache(max_bytes=1 << 20), lambda: 0.0), draw=lambda: 0.5)
    assert front.listener.address == options.resp
    made = front.listener._factory
    assert isinstance(made, RESPFactory)
    return made


def test_bounds_are_those_of_the_options() -> None:
    made = factory(CacheOptions(max_bytes=100 << 20, max_value_bytes=5 << 20, resp_max_clients=7))
    assert (made.max_bulk_bytes, made.max_request_bytes, made.state.max_clients) == (5 << 20, 25 << 20, 7)
    assert made.state.settings["maxmemory"] == str(100 << 20)
    assert not made.state.password_needed


def test_the_password_is_that_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("secret\n")
    state = factory(CacheOptions(resp=Address("0.0.0.0", 0), resp_password_file=tmp_path / "password")).state
    assert state.right_password is not None
    assert state.right_password(b"secret")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "cache.example"])
def test_an_open_address_needs_a_password(host: str) -> None:
    with pytest.raises(ValueError, match="--resp-password-file"):
        CacheOptions(resp=Address(host, 6380))
    CacheOptions(resp=Address(host, 6380), resp_unprotected=True)
    CacheOptions(resp=Address(host, 6380), no_resp=True)
