"""RFC 9110 section 12.5.3, sentence by sentence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalability.gateway.transform.accept_encoding import IDENTITY, Choice, choose

OFFERED = (b"br", b"zstd", b"gzip")


def chosen(*values: bytes, offered: tuple[bytes, ...] = OFFERED) -> bytes:
    return choose(values, offered).coding


@pytest.mark.parametrize(
    ("value", "coding"),
    [
        (b"gzip", b"gzip"),
        (b"GZip", b"gzip"),
        (b"x-gzip", b"gzip"),
        (b"gzip, deflate, br, zstd", b"br"),
        (b"gzip;q=1.0, br;q=0.5", b"gzip"),
        (b"gzip ; Q=0.9 , zstd;q=0.91", b"zstd"),
        (b"br;q=0, gzip", b"gzip"),
        (b"br;q=0.000, gzip;q=0.001", b"gzip"),
        (b"*", b"br"),
        (b"br;q=0, *", b"zstd"),
        (b"gzip, *;q=0", b"gzip"),
        (b"gzip;q=0.5, *", b"br"),
        (b"identity", IDENTITY),
        (b"identity, gzip;q=0.5", IDENTITY),
        (b"identity;q=0.5, gzip;q=0.5", b"gzip"),
        (b"identity;q=0.1, gzip;q=0.5", b"gzip"),
        (b"deflate", IDENTITY),
        (b"", IDENTITY),
        (b"*;q=0", IDENTITY),
        (b"gzip;q=2", IDENTITY),
        (b"gzip;q=0.1234", IDENTITY),
        (b"gzip;q=-1", IDENTITY),
        (b"gzip;level=3", IDENTITY),
        (b"g zip, br", b"br"),
        (b",, gzip ,", b"gzip"),
    ],
)
def test_the_highest_weight_wins_then_the_servers_order(value: bytes, coding: bytes) -> None:
    assert chosen(value) == coding


def test_without_the_field_nothing_is_encoded() -> None:
    assert choose((), OFFERED) == Choice(IDENTITY, False)


def test_several_fields_are_one_list() -> None:
    assert chosen(b"gzip;q=0.1", b"br;q=0.2") == b"br"


def test_only_what_is_offered_is_chosen() -> None:
    assert chosen(b"br, gzip;q=0.1", offered=(b"gzip",)) == b"gzip"
    assert chosen(b"*", offered=()) == IDENTITY


@pytest.mark.parametrize(
    ("value", "refused"), [(b"identity;q=0, gzip", True), (b"*;q=0, gzip", True), (b"*;q=0, identity;q=0.1", False), (b"gzip", False)]
)
def test_who_refuses_identity_is_remembered(value: bytes, refused: bool) -> None:
    assert choose((value,), OFFERED).identity_refused is refused


@given(st.lists(st.binary(max_size=40), max_size=4))
def test_any_value_has_an_answer_that_is_offered(values: list[bytes]) -> None:
    assert choose(values, OFFERED).coding in (*OFFERED, IDENTITY)


def test_a_long_hostile_value_costs_its_length() -> None:
    assert chosen(b"gzip;q=0." + b"1" * 60_000) == IDENTITY
    assert chosen(b" \t" * 30_000 + b"!") == IDENTITY
    assert chosen(b"," * 60_000 + b"gzip") == b"gzip"
