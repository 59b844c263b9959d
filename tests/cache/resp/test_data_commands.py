"""All commands that read and change entries."""

import re
from pathlib import Path

from scalability.cache.resp.commands import table
from scalability.cache.resp.data_commands import FAMILIES

DOCUMENT = Path(__file__).parents[3] / "docs" / "resp-commands.md"


def test_every_command_is_in_the_document_and_no_other() -> None:
    rows = [line for line in DOCUMENT.read_text().splitlines() if line.startswith("| ")]
    documented = {words.split()[0] for row in rows for words in re.findall(r"`([A-Z ]+)`", row)}
    options = {"EX", "PX", "EXAT", "PXAT", "KEEPTTL", "NX", "XX", "GT", "LT"}
    assert documented - options == {name.decode() for name in table(FAMILIES) if name.isupper()}


def test_what_changes_entries_says_so_and_names_its_keys() -> None:
    commands = table(FAMILIES)
    assert commands[b"mset"].keys([b"MSET", b"a", b"1", b"b", b"2"]) == [b"a", b"b"]
    assert commands[b"rename"].keys([b"RENAME", b"a", b"b"]) == [b"a", b"b"]
    assert commands[b"copy"].keys([b"COPY", b"a", b"b", b"REPLACE"]) == [b"a", b"b"]
    assert commands[b"object"].keys([b"OBJECT", b"HELP"]) == []
    assert commands[b"del"].keys([b"DEL", b"a", b"b", b"c"]) == [b"a", b"b", b"c"]
    for command in commands.values():
        assert ("write" in command.flags) != ("readonly" in command.flags), command.name
        keyless = command.name in ("scan", "keys", "randomkey", "dbsize", "flushdb", "flushall")
        assert bool(command.first_key) != keyless, command.name
