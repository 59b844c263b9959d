"""A command that is several: CLIENT ID, CONFIG GET. PURE."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from scalability.cache.resp.commands import Command, CommandError, Request, Run
from scalability.resp import replies

if TYPE_CHECKING:
    from scalability.cache.resp.session import Session

MAX_TOLD_BYTES = 128
"""How much of a client's own words an error repeats (Redis' figure)."""


class Subcommands:
    """The function of such a command: register it with its family, and its parts with ``subcommand``.

    HELP is made of what is registered.
    """

    def __init__(self, container: str) -> None:
        self.container = container
        self.commands: dict[str, Command] = {}
        """By their names in small letters; each is called ``container|name``."""
        self._usages: list[tuple[str, str]] = []

    def subcommand(
        self, name: str, arity: int, flags: str = "", *, usage: str = "", keys: tuple[int, int, int] = (0, 0, 0), summary: str
    ) -> Callable[[Run], Run]:
        """Register the function below it. ``arity`` counts the container's name too; ``usage`` names the arguments, for HELP."""

        def register(run: Run) -> Run:
            self.commands[name] = Command(f"{self.container}|{name}", run, arity, frozenset(flags.split()), *keys, summary, "")
            self._usages.append((f"{name.upper()} {usage}".rstrip(), summary))
            return run

        return register

    def include(self, others: "Subcommands") -> None:
        """Take in what another module registered for the same container."""
        assert others.container == self.container
        self.commands |= others.commands
        self._usages += others._usages

    def find(self, request: Request) -> Command | None:
        """The subcommand of ``request``, whose number of arguments is right; None: HELP. Raises CommandError."""
        name = request[1][:MAX_TOLD_BYTES].lower().decode("latin-1")
        if name == "help" and len(request) == 2:
            return None
        command = self.commands.get(name)
        if command is None:
            told = request[1][:MAX_TOLD_BYTES]
            raise CommandError(b"ERR unknown subcommand '%b'. Try %b HELP." % (told, self.container.upper().encode()))
        if not command.admits(len(request)):
            raise CommandError(f"ERR wrong number of arguments for '{command.name}' command")
        return command

    def __call__(self, session: "Session", request: Request) -> bytes:
        command = self.find(request)
        return self.help() if command is None else command.run(session, request)

    def help(self) -> bytes:
        """What HELP tells."""
        lines = [f"{self.container.upper()} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"]
        for usage, summary in sorted(self._usages):
            lines += [usage, f"    {summary}"]
        lines += ["HELP", "    Prints this help."]
        return replies.array([replies.simple(line.encode()) for line in lines])
