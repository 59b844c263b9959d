"""Commands that are several."""

import pytest

from scalability.cache.resp.commands import CommandError, Request
from scalability.cache.resp.session import Session
from scalability.cache.resp.subcommands import Subcommands
from scalability.resp import replies
from scalability.testing.resp_session import RespSession

CLIENT = Subcommands("client")


@CLIENT.subcommand("id", 2, summary="Returns 1.")
def id_(session: Session, request: Request) -> bytes:
    return replies.ONE


OTHERS = Subcommands("client")


@OTHERS.subcommand("name", -3, usage="<name> [...]", summary="Returns the name.")
def name(session: Session, request: Request) -> bytes:
    return replies.bulk(request[2])


CLIENT.include(OTHERS)


def run(*request: bytes) -> bytes:
    return CLIENT(RespSession().session, list(request))


def test_the_second_word_chooses() -> None:
    assert run(b"client", b"ID") == replies.ONE
    assert run(b"CLIENT", b"name", b"x") == replies.bulk(b"x")


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        ([b"client", b"foo"], b"ERR unknown subcommand 'foo'. Try CLIENT HELP."),
        ([b"client", b"HELP", b"me"], b"ERR unknown subcommand 'HELP'. Try CLIENT HELP."),
        ([b"client", b"\xff" * 1000], b"ERR unknown subcommand '%b'. Try CLIENT HELP." % (b"\xff" * 128)),
        ([b"client", b"Id", b"1"], b"ERR wrong number of arguments for 'client|id' command"),
        ([b"client", b"name"], b"ERR wrong number of arguments for 'client|name' command"),
    ],
)
def test_what_is_wrong_is_said_as_redis_says_it(request_: list[bytes], error: bytes) -> None:
    with pytest.raises(CommandError) as raised:
        run(*request_)
    assert raised.value.text == error


def test_help_is_made_of_what_there_is() -> None:
    assert run(b"client", b"help") == replies.array(
        [
            replies.simple(line)
            for line in (
                b"CLIENT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
                b"ID",
                b"    Returns 1.",
                b"NAME <name> [...]",
                b"    Returns the name.",
                b"HELP",
                b"    Prints this help.",
            )
        ]
    )
