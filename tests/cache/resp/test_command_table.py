"""Every command says what it is."""

from scalability.cache.resp.command_table import COMMANDS

NAMES = ["get", "set", "mget", "mset", "incr", "expire", "ttl", "del", "scan", "multi", "hello", "client", "info"]


def test_the_usual_commands_are_there() -> None:
    for name in NAMES:
        assert COMMANDS[name.encode()].name == name


def test_every_command_can_be_told_by_command_docs() -> None:
    for command in COMMANDS.values():
        assert command.summary.endswith("."), command.name
        assert command.group, command.name
        assert command.arity, command.name
        assert not command.first_key or {"write", "readonly"} & command.flags or command.name == "watch", command.name
