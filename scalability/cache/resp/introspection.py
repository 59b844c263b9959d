"""COMMAND: the commands of this server, for clients that want to know them; redis-cli makes its help of DOCS. PURE.

Redis' key specifications are made of where the keys stand; ACL categories of the flags and the group.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from scalability.cache.resp.commands import SYNTAX, Command, CommandError, Family, Request
from scalability.cache.resp.globs import glob_of
from scalability.cache.resp.subcommands import Subcommands
from scalability.resp import replies

if TYPE_CHECKING:
    from scalability.cache.resp.session import Session

FAMILY = Family("server")

_CATEGORIES = {"string": "string", "generic": "keyspace", "connection": "connection", "transactions": "transaction"}
MAX_NAMES = 500
"""Of one COMMAND INFO or DOCS: telling of one command takes 10 to 20 us."""

_HIDDEN = frozenset(("costly", "no_multi"))
"""Flags that are ours only."""


class _Command(Subcommands):
    """COMMAND by itself tells of all commands."""

    def __call__(self, session: "Session", request: Request) -> bytes:
        if len(request) == 1:
            return _array([_description(command, session.resp3) for command in _all(session)])
        return super().__call__(session, request)

    def find(self, request: Request) -> Command | None:
        return super().find(request) if len(request) > 1 else None


COMMAND = _Command("command")
FAMILY.command("command", -1, "costly", summary="Tells of the commands of this server.")(COMMAND)


@COMMAND.subcommand("count", 2, summary="Returns how many commands there are.")
def count(session: "Session", request: Request) -> bytes:
    """The number."""
    return replies.integer(len(_all(session)))


@COMMAND.subcommand("list", -2, usage="[FILTERBY (MODULE|ACLCAT|PATTERN) <value>]", summary="Returns the names of the commands.")
def list_(session: "Session", request: Request) -> bytes:
    """An array of names."""
    commands: Iterable[Command] = _all(session)
    if len(request) > 2:
        if len(request) != 5 or request[2].upper() != b"FILTERBY":
            raise CommandError(SYNTAX)
        kind, value = request[3].upper(), request[4]
        if kind == b"MODULE":
            commands = ()
        elif kind == b"ACLCAT":
            commands = [command for command in commands if value.lower().decode("latin-1") in _categories(command)]
        elif kind == b"PATTERN":
            try:
                pattern = glob_of(value.lower())
            except ValueError as error:
                raise CommandError(f"ERR {error}") from error
            commands = [command for command in commands if pattern.matches(command.name.encode())]
        else:
            raise CommandError(SYNTAX)
    return replies.bulks([command.name.encode() for command in commands])


@COMMAND.subcommand("info", -2, usage="[<name> ...]", summary="Tells of all commands, or of some.")
def info(session: "Session", request: Request) -> bytes:
    """An array, with null for what is no command."""
    if len(request) == 2:
        return _array([_description(command, session.resp3) for command in _all(session)])
    found = (_named(session, name) for name in _names(request))
    return _array([session.null if command is None else _description(command, session.resp3) for command in found])


@COMMAND.subcommand("docs", -2, usage="[<name> ...]", summary="Explains all commands, or some.")
def docs(session: "Session", request: Request) -> bytes:
    """A map of names to maps; what is no command is left out."""
    found = _all(session) if len(request) == 2 else [_named(session, name) for name in _names(request)]
    resp3 = session.resp3
    pairs = [(replies.bulk(command.name.encode()), _documentation(command, resp3)) for command in found if command is not None]
    return replies.mapping(pairs, resp3=resp3)


@COMMAND.subcommand("getkeys", -3, usage="<command> [<arg> ...]", summary="Returns the keys that a command names.")
def getkeys(session: "Session", request: Request) -> bytes:
    """An array of keys."""
    command = _named(session, request[2])
    if command is None:
        raise CommandError("ERR Invalid command specified")
    if not command.first_key:
        raise CommandError("ERR The command has no key arguments")
    if not command.admits(len(request) - 2):
        raise CommandError("ERR Invalid number of arguments specified for command")
    return replies.bulks(command.keys(request[2:]))


def _all(session: "Session") -> list[Command]:
    """Each once."""
    return list({command.name: command for command in session.server.commands.values()}.values())


def _names(request: Request) -> list[bytes]:
    if len(request) > MAX_NAMES + 2:
        raise CommandError(f"ERR {MAX_NAMES} names at once are allowed")
    return request[2:]


def _named(session: "Session", name: bytes) -> Command | None:
    container, _, part = name.lower().partition(b"|")
    command = session.server.commands.get(container)
    if not part:
        return command
    return command.run.commands.get(part.decode("latin-1")) if command is not None and isinstance(command.run, Subcommands) else None


def _array(items: list[bytes]) -> bytes:
    return replies.array(items)


def _statuses(words: Iterable[str], resp3: bool) -> bytes:
    return replies.a_set([replies.simple(word.encode()) for word in words], resp3=resp3)


def _categories(command: Command) -> list[str]:
    flags = command.flags
    words = [word for flag, word in (("readonly", "read"), ("write", "write")) if flag in flags]
    if command.group in _CATEGORIES:
        words.append(_CATEGORIES[command.group])
    if "admin" in flags:
        words += ["admin", "dangerous"]
    return [*words, "fast" if "fast" in flags else "slow"]


def _description(command: Command, resp3: bool) -> bytes:
    """The ten elements of COMMAND INFO."""
    parts = command.run.commands.values() if isinstance(command.run, Subcommands) else ()
    return replies.array(
        [
            replies.bulk(command.name.encode()),
            replies.integer(command.arity),
            _statuses(sorted(command.flags - _HIDDEN), resp3),
            replies.integer(command.first_key),
            replies.integer(command.last_key),
            replies.integer(command.step),
            _statuses((f"@{word}" for word in _categories(command)), resp3),
            replies.a_set([], resp3=resp3),
            replies.a_set(_key_specs(command, resp3), resp3=resp3),
            replies.array([_description(part, resp3) for part in parts]),
        ]
    )


def _map(pairs: dict[str, bytes], resp3: bool) -> bytes:
    return replies.mapping([(replies.bulk(key.encode()), value) for key, value in pairs.items()], resp3=resp3)


def _key_specs(command: Command, resp3: bool) -> list[bytes]:
    """From where to where the keys stand (https://redis.io/docs/latest/develop/reference/key-specs/)."""
    if not command.first_key:
        return []
    last = command.last_key - command.first_key if command.last_key >= 0 else command.last_key
    reach = {"lastkey": replies.integer(last), "keystep": replies.integer(command.step), "limit": replies.ZERO}
    begin = {"type": replies.bulk(b"index"), "spec": _map({"index": replies.integer(command.first_key)}, resp3)}
    find = {"type": replies.bulk(b"range"), "spec": _map(reach, resp3)}
    flags = ("RW", "access", "update") if "write" in command.flags else ("RO", "access")
    return [_map({"flags": _statuses(flags, resp3), "begin_search": _map(begin, resp3), "find_keys": _map(find, resp3)}, resp3)]


def _documentation(command: Command, resp3: bool) -> bytes:
    pairs = {
        "summary": replies.bulk(command.summary.encode()),
        "since": replies.bulk(b"1.0.0"),
        "group": replies.bulk(command.group.encode()),
    }
    if isinstance(command.run, Subcommands):
        parts = [(replies.bulk(part.name.encode()), _documentation(part, resp3)) for part in command.run.commands.values()]
        pairs["subcommands"] = replies.mapping(parts, resp3=resp3)
    elif arguments := _arguments(command, resp3):
        pairs["arguments"] = replies.array(arguments)
    return _map(pairs, resp3)


def _arguments(command: Command, resp3: bool) -> list[bytes]:
    """What stands behind the name, as far as arity and places of keys tell it: keys, so many arguments more, and perhaps others."""
    words: list[tuple[str, str, tuple[str, ...]]] = []
    at_least = abs(command.arity) - 1 - command.name.count("|")
    if command.first_key and command.last_key < 0 and command.step == 1:
        words.append(("key", "key", ("multiple",)))
    else:
        keys = 0
        if command.first_key:
            last = command.last_key if command.last_key > 0 else command.first_key
            keys = (last - command.first_key) // command.step + 1
        words += [("key", "key", ())] * keys
        words += [("argument", "string", ())] * (at_least - keys)
        if command.arity < 0:
            words.append(("argument", "string", ("optional", "multiple")))
    described = []
    for name, kind, flags in words:
        pairs = {"name": replies.bulk(name.encode()), "type": replies.bulk(kind.encode())}
        if kind == "key":
            pairs["key_spec_index"] = replies.ZERO
        if flags:
            pairs["flags"] = _statuses(flags, resp3) if resp3 else replies.array([replies.simple(flag.encode()) for flag in flags])
        described.append(_map(pairs, resp3))
    return described
