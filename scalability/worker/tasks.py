"""Task functions of the user's own, by name.

``--tasks MODULE`` imports MODULE (the current folder is searched too) and offers

- what its ``TASKS`` maps names to, where it has one (``TASKS = {"report": make_report}``), else
- every public function that it defines itself: imported ones and ``_private`` ones are left out.

A task ``{"task": "resize", "width": 100}`` calls ``resize(width=100)``. A plain function runs on a thread, an ``async def`` in the
event loop, where it awaits Deferreds and must not block. What it returns must be JSON of at most 64 KiB; what it raises makes the
attempt fail. It may run more than once (``current_task()`` says which task and which attempt this is): make it idempotent.
"""

import importlib
import inspect
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar, copy_context
from types import ModuleType
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from scalability.errors import ConfigError, Unprocessable
from scalability.lifecycle.threads import Threads

TaskFunction = Callable[..., Any]


class CurrentTask(NamedTuple):
    """Which task a function runs for, and the how manieth attempt this is."""

    id: str
    attempt: int


_CURRENT: ContextVar[CurrentTask] = ContextVar("scalelab task")


def current_task() -> CurrentTask:
    """The task that the calling task function runs for. Raises LookupError elsewhere."""
    return _CURRENT.get()


class Functions:
    """The functions of ``--tasks``; plain ones run on ``threads``."""

    def __init__(self, functions: Mapping[str, TaskFunction], threads: Threads) -> None:
        self._functions = dict(functions)
        self._threads = threads

    def check(self, name: str, arguments: Mapping[str, Any]) -> None:
        """Raise Unprocessable when there is no such function, or when it does not take these arguments."""
        function = self._functions.get(name)
        if function is None:
            raise Unprocessable(f"there is no task {name[:100]!r} here")
        try:
            signature = inspect.signature(function)
        except ValueError:
            return  # a builtin without one: the call will tell
        try:
            signature.bind(**arguments)
        except TypeError as error:
            raise Unprocessable(f"the task {name!r} cannot be called so: {error}") from error

    def begin(self, task: CurrentTask, name: str, arguments: Mapping[str, Any]) -> Deferred[Any]:
        """Call the function; fires with what it returns. Unprocessable when there is none (any more)."""
        function = self._functions.get(name)
        if function is None:
            raise Unprocessable(f"there is no task {name!r} here")
        context = copy_context()
        context.run(_CURRENT.set, task)
        if inspect.iscoroutinefunction(function):
            return context.run(lambda: Deferred.fromCoroutine(function(**arguments)))
        return self._threads.run(lambda: context.run(function, **arguments))


class Simulation:
    """The lab's task, whatever its name: it takes ``seconds``, and its start and its completion stand in the log."""

    log = Logger()

    def __init__(self, clock: IReactorTime, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds

    def check(self, name: str, arguments: Mapping[str, Any]) -> None:
        """Any task will do."""

    def begin(self, task: CurrentTask, name: str, arguments: Mapping[str, Any]) -> Deferred[Any]:
        self.log.info("task {name} {id} started", name=name, id=task.id)

        def completed(_: None) -> dict[str, float]:
            self.log.info("task {name} {id} completed", name=name, id=task.id)
            return {"simulated_s": self._seconds}

        return deferLater(self._clock, self._seconds, lambda: None).addCallback(completed)


def load_tasks(modules: Sequence[str]) -> dict[str, TaskFunction]:
    """The functions of ``modules`` by name. Raises ConfigError when one cannot be imported, offers none, or a name is taken."""
    here = os.getcwd()
    if here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)
    found: dict[str, TaskFunction] = {}
    for name in modules:
        offered = _offered(name, _imported(name))
        for taken in found.keys() & offered.keys():
            raise ConfigError("--tasks", f"{name} offers the task {taken!r} a second time")
        found.update(offered)
    return found


def _imported(name: str) -> ModuleType:
    if not all(part.isidentifier() for part in name.split(".")):
        raise ConfigError("--tasks", f"{name!r} is not the name of a module; write it as after import, my_tasks or my.tasks")
    try:
        return importlib.import_module(name)
    except Exception as error:  # whatever a user's module raises, it is the user who can mend it
        raise ConfigError("--tasks", f"cannot import {name}: {type(error).__name__}: {error}".replace("\n", " ")) from error


def _offered(name: str, module: ModuleType) -> dict[str, TaskFunction]:
    listed = getattr(module, "TASKS", None)
    if listed is not None:
        if not isinstance(listed, Mapping) or not all(isinstance(key, str) and callable(value) for key, value in listed.items()):
            raise ConfigError("--tasks", f"{name}.TASKS must map names to functions")
        offered = dict(listed)
    else:
        members = vars(module).items()
        offered = {
            key: member
            for key, member in members
            if not key.startswith("_") and inspect.isfunction(member) and member.__module__ == module.__name__
        }
    if not offered:
        raise ConfigError("--tasks", f"{name} offers no task: it defines no public function and no TASKS")
    return offered
