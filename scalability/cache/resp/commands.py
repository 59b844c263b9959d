"""How a command of RESP is written: a function of the session and the request, and one line about it in a table. PURE.

A command answers with encoded bytes (``scalability.resp.replies``), or raises ``CommandError``. Its request's number of arguments
has been checked against ``arity`` before it runs.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scalability.cache.resp.session import Session

Request = list[bytes]
"""The command's name, as the client wrote it, and its arguments."""

Run = Callable[["Session", Request], bytes]


class CommandError(Exception):
    """The command failed: ``text`` is the error as the client sees it, its code first, as in ``ERR syntax error``."""

    def __init__(self, text: str | bytes) -> None:
        super().__init__(text)
        self.text = text.encode() if isinstance(text, str) else text


SYNTAX = "ERR syntax error"
NOT_AN_INTEGER = "ERR value is not an integer or out of range"


@dataclass(frozen=True, slots=True)
class Command:
    """What COMMAND tells of a command, and the function that runs it.

    ``arity`` counts the name too; a negative one says how many there are at least. ``flags`` are Redis' words: ``write``,
    ``readonly``, ``denyoom``, ``fast``, ``noscript``, ``no_auth`` (allowed before AUTH), ``no_multi`` (not within MULTI), ...,
    and ``costly``: its cost is not told by how long the request is, so that a transaction may have few of them.
    Keys stand from ``first_key`` to ``last_key`` (-1: the last argument), every ``step`` th; 0: no keys.
    """

    name: str
    run: Run
    arity: int
    flags: frozenset[str]
    first_key: int
    last_key: int
    step: int
    summary: str
    group: str

    def keys(self, request: Request) -> list[bytes]:
        """Those that ``request`` names."""
        if not self.first_key:
            return []
        last = self.last_key if self.last_key >= 0 else len(request) + self.last_key
        return request[self.first_key : last + 1 : self.step]

    def admits(self, count: int) -> bool:
        """Whether a request of ``count`` parts, the name included, has as many as it takes."""
        return count == self.arity if self.arity >= 0 else count >= -self.arity


class Family:
    """The commands of one module: ``@family.command("get", 2, "readonly fast", keys=(1, 1, 1), summary="...")``."""

    def __init__(self, group: str) -> None:
        self.group = group
        self.commands: dict[str, Command] = {}

    def command(
        self, name: str, arity: int, flags: str = "", *, keys: tuple[int, int, int] = (0, 0, 0), summary: str
    ) -> Callable[[Run], Run]:
        """Register the function below it."""

        def register(run: Run) -> Run:
            self.commands[name] = Command(name, run, arity, frozenset(flags.split()), *keys, summary, self.group)
            return run

        return register


def table(families: Iterable[Family]) -> dict[bytes, Command]:
    """All commands by their names, in capitals and in small letters: other spellings are found by way of these."""
    commands: dict[bytes, Command] = {}
    for family in families:
        for name, command in family.commands.items():
            assert name.encode() not in commands, name
            commands[name.encode()] = commands[name.upper().encode()] = command
    return commands


def integer_of(text: bytes, error: str = NOT_AN_INTEGER) -> int:
    """``text`` as a number of 64 bits, as strictly as Redis reads it: no blanks, no ``+``, no leading zero. Raises CommandError."""
    if len(text) <= 20 and (text.isdigit() or (text[:1] == b"-" and text[1:].isdigit())):
        number = int(text)
        if -(1 << 63) <= number < 1 << 63 and b"%d" % number == text:
            return number
    raise CommandError(error)
