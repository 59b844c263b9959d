"""The table of commands, and numbers as Redis reads them."""

import pytest

from scalability.cache.resp.commands import CommandError, Family, integer_of, table
from scalability.cache.resp.session import Session
from scalability.resp import replies

FAMILY = Family("string")


@FAMILY.command("several", -3, "write", keys=(1, -1, 2), summary="Keys at every second place.")
def several(session: Session, request: list[bytes]) -> bytes:
    return replies.OK


@FAMILY.command("none", 1, "fast", summary="No keys.")
def none(session: Session, request: list[bytes]) -> bytes:
    return replies.OK


def test_a_command_is_found_by_both_spellings() -> None:
    commands = table([FAMILY])
    assert commands[b"several"] is commands[b"SEVERAL"]
    assert commands[b"none"].group == "string"


def test_the_same_name_twice_is_a_mistake() -> None:
    with pytest.raises(AssertionError, match="several"):
        table([FAMILY, FAMILY])


def test_keys_and_numbers_of_arguments() -> None:
    command = table([FAMILY])[b"several"]
    assert command.keys([b"several", b"a", b"1", b"b", b"2"]) == [b"a", b"b"]
    assert [command.admits(count) for count in (1, 2, 3, 4)] == [False, False, True, True]
    command = table([FAMILY])[b"none"]
    assert command.keys([b"none"]) == []
    assert [command.admits(count) for count in (1, 2)] == [True, False]


@pytest.mark.parametrize("number", [0, 1, -1, 42, (1 << 63) - 1, -(1 << 63)])
def test_numbers_of_64_bits(number: int) -> None:
    assert integer_of(b"%d" % number) == number


@pytest.mark.parametrize(
    "text",
    [b"", b" 1", b"1 ", b"+1", b"01", b"-0", b"-", b"--1", b"1.0", b"1e3", b"0x10", b"\xd9\xa1", b"9223372036854775808", b"1" * 5000],
)
def test_what_is_no_number_of_64_bits(text: bytes) -> None:
    with pytest.raises(CommandError, match="not an integer or out of range"):
        integer_of(text)
