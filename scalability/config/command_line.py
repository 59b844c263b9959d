"""The command line of a component: flags made from its options, ``--help`` that explains itself, errors of one line."""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Generic, NoReturn, TypeVar

from twisted.logger import LoggingFile
from twisted.python import usage

from scalability.config.load import Field, Options, check_tables, dump, fields_of, load, render
from scalability.errors import ConfigError

COMPONENTS = ("lb", "gateway", "cache", "database", "microservice", "worker", "lab")

T = TypeVar("T", bound=Options)


def fail(who: str, message: str) -> NoReturn:
    """End the process with one line on stderr and status 1: for what a user can correct before the server runs."""
    if isinstance(sys.stderr, LoggingFile):
        # twistd's log has taken its place; the interpreter writes the line to whatever sys.stderr is when it ends
        sys.stderr = sys.__stderr__
    raise SystemExit(f"{who}: {message}")


class CommandLine(usage.Options, Generic[T]):
    """Base of every plugin's ``Options``; make one with ``command_line``. After parsing, ``config`` is the typed result."""

    plugin: str
    options_class: type[T]
    config: T
    _file: Path | None = None

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        try:
            super().parseOptions(options)
        except usage.UsageError as error:
            fail(self.plugin, f"{error}; twistd -n {self.plugin} --help lists the flags")

    def parseArgs(self, *rest: str) -> None:  # noqa: N802 - Twisted's name
        if rest:
            fail(self.plugin, f"unexpected argument {rest[0]!r}; twistd -n {self.plugin} --help lists the flags")

    def postOptions(self) -> None:
        # Without this, a second plugin started in the same folder ends with "Another twistd server is running".
        parent = self.parent
        if parent is not None and parent.get("pidfile") == "twistd.pid":
            parent["pidfile"] = ""
        file = Path(self["config"]) if self["config"] else None
        # a daemon may change its folder
        self._file = file.absolute() if file is not None else None
        try:
            self.config = self._read(file)
            self.check(self.config)
        except ConfigError as error:
            fail(self.plugin, str(error))
        if self["check-config"]:
            self.print_config()
            raise SystemExit(0)

    def reread(self) -> T:
        """What the same command line means with the environment and the file of now; ``config`` stays, and ``check`` is not called.

        Raises ConfigError. Blocks while it reads the file; any thread may call it.
        """
        return self._read(self._file)

    def _read(self, file: Path | None) -> T:
        given = {field.key: self._given[field.key] for field in fields_of(self.options_class) if field.key in self._given}
        if file is not None:
            check_tables(file, COMPONENTS)
        return load(self.options_class, flags=given, environ=os.environ, file=file)

    def check(self, config: T) -> None:
        """Look at what only the machine can tell (files, modules). Raises ConfigError. Overridden where needed."""

    def print_config(self) -> None:
        sys.stdout.write(render(self.config) + "\n")

    @property
    def _given(self) -> dict[str, Any]:
        try:
            return self.__given
        except AttributeError:
            self.__given: dict[str, Any] = {}
            return self.__given


def command_line(plugin: str, options_class: type[T], summary: str) -> type[CommandLine[T]]:
    """The ``usage.Options`` subclass of ``plugin``, made from the fields of ``options_class``."""
    members: dict[str, Any] = {
        "plugin": plugin,
        "options_class": options_class,
        "longdesc": f"{summary} Every value can also stand in a TOML file, table [{options_class.component}], or in the environment "
        f"as SCALELAB_{options_class.component.upper()}_<NAME>; a flag wins over the environment, that over the file.",
        "optParameters": [["config", None, None, "TOML file to read, with a table for each component."]],
        "optFlags": [["check-config", None, "Print the effective configuration and exit: 0, or 1 with one line that names the bad key."]],
    }
    for field in fields_of(options_class):
        if field.flag.flag:
            members[f"opt_{field.key}"] = _option(field)
    return type("Options", (CommandLine,), members)


def _option(field: Field) -> Callable[..., None]:
    if field.boolean:

        def switch(self: CommandLine[Any]) -> None:
            self._given[field.key] = "true"

        switch.__doc__ = field.flag.help
        return switch

    def option(self: CommandLine[Any], value: str) -> None:
        if field.repeatable:
            self._given.setdefault(field.key, []).append(value)
        else:
            self._given[field.key] = value

    option.__doc__ = f"{field.flag.help} {_default(field)}"
    return option


def _default(field: Field) -> str:
    """``(S, default 2.0)``: the form of the value, and what holds without the flag."""
    value = field.default
    words = [field.flag.metavar] if field.flag.metavar else []
    if field.repeatable:
        words.append("repeatable")
        value = " ".join(map(str, value))
    if value is None:
        value = "off"
    if value != "" or not field.repeatable:
        words.append(f"default {value}")
    return f"({', '.join(words)})"


__all__ = ["COMPONENTS", "CommandLine", "command_line", "dump", "fail"]
