"""The commands beside the entries' own."""

from scalability.cache.resp.commands import table
from scalability.cache.resp.control_commands import FAMILIES

NAMES = {
    "acl", "auth", "bgsave", "client", "command", "config", "discard", "echo", "exec", "hello", "info", "lastsave", "latency", "module",
    "multi", "ping", "quit", "reset", "role", "save", "select", "shutdown", "slowlog", "time", "unwatch", "watch",
}  # fmt: skip


def test_they_are_all_there_and_each_once() -> None:
    assert {command.name for command in table(FAMILIES).values()} == NAMES


def test_before_auth_only_those_are_allowed_that_lead_to_it_or_away() -> None:
    allowed = {command.name for command in table(FAMILIES).values() if "no_auth" in command.flags}
    assert allowed == {"auth", "hello", "quit", "reset"}
