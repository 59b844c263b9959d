"""Whatever the pieces, the decoded body is the body; after a flush all of it can be decoded."""

import gzip
import zlib
from collections.abc import Callable
from typing import Any

import brotli
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from scalability.gateway.transform.codings import ENCODERS, KNOWN

DECODERS: dict[bytes, Callable[[], Any]] = {
    b"gzip": lambda: zlib.decompressobj(31).decompress,
    b"br": lambda: brotli.Decompressor().process,
    b"zstd": lambda: zstandard.ZstdDecompressor().decompressobj().decompress,
}


def test_every_known_coding_is_there_with_all_libraries() -> None:
    assert {coding.decode() for coding in ENCODERS} == set(KNOWN)


@settings(max_examples=150, deadline=None)
@given(
    coding=st.sampled_from(sorted(DECODERS)),
    pieces=st.lists(st.binary(max_size=3000), max_size=6),
    flushes=st.lists(st.booleans(), min_size=6, max_size=6),
)
def test_pieces_and_flushes_change_nothing(coding: bytes, pieces: list[bytes], flushes: list[bool]) -> None:
    encoder = ENCODERS[coding]()
    decode = DECODERS[coding]()
    decoded = b""
    for at, piece in enumerate(pieces):
        decoded += decode(encoder.feed(piece))
        if flushes[at]:
            decoded += decode(encoder.flush())
            assert decoded == b"".join(pieces[: at + 1])
    decoded += decode(encoder.end())
    assert decoded == b"".join(pieces)


def test_gzip_tells_neither_time_nor_name() -> None:
    encoders = [ENCODERS[b"gzip"]() for _ in range(2)]
    first, second = [one.feed(b"x" * 5000) + one.end() for one in encoders]
    assert first == second
    assert first[3:8] == bytes(5)
    assert gzip.decompress(first) == b"x" * 5000
