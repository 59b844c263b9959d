"""Keys over HTTP."""

import pytest

from scalability.cache.keys import MAX_KEY_BYTES, key_bytes
from scalability.errors import ClientError


def test_a_key_is_its_utf8() -> None:
    assert key_bytes("é/\0") == b"\xc3\xa9/\0"


def test_its_length_is_bounded_in_bytes() -> None:
    assert len(key_bytes("k" * MAX_KEY_BYTES)) == MAX_KEY_BYTES
    with pytest.raises(ClientError, match=r"^keys\[3\]: the key has 1026 bytes; 1024 are allowed$"):
        key_bytes("é" * 513, "keys[3]: ")
