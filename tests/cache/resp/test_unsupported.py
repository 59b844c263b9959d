"""Names that are no command here."""

from scalability.cache.resp.command_table import COMMANDS
from scalability.cache.resp.unsupported import UNSUPPORTED, unknown


def test_a_command_of_redis_that_is_not_here_says_so() -> None:
    assert unknown([b"LPUSH", b"a", b"1"]) == (b"ERR 'lpush' is not supported: this server keeps strings that expire; see docs/resp.md")


def test_a_command_for_clusters_is_told_that_there_is_none() -> None:
    for request in ([b"READONLY"], [b"readwrite"], [b"ASKING"], [b"CLUSTER", b"INFO"]):
        assert unknown(request) == b"ERR This instance has cluster support disabled"


def test_anything_else_is_unknown_in_the_words_of_redis() -> None:
    assert unknown([b"FOO"]) == b"ERR unknown command 'FOO', with args beginning with: "
    assert unknown([b"FOO", b"a", b"b"]) == b"ERR unknown command 'FOO', with args beginning with: 'a' 'b' "


def test_what_is_repeated_of_it_is_bounded() -> None:
    assert len(unknown([b"x" * 10_000, *[b"y" * 10_000] * 1000])) < 400
    assert len(unknown([b"x", *[b""] * 100_000])) < 500


def test_no_command_is_called_unsupported() -> None:
    assert not UNSUPPORTED & {command.name for command in COMMANDS.values()}
