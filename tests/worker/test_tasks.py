from collections.abc import Iterator
from pathlib import Path
from threading import current_thread
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from scalability.errors import ConfigError, Unprocessable
from scalability.lifecycle.threads import Threads
from scalability.testing.stores import ThreadedClock
from scalability.worker.tasks import CurrentTask, Functions, Simulation, current_task, load_tasks

TASK = CurrentTask("an id", 2)


@pytest.fixture
def clock() -> ThreadedClock:
    return ThreadedClock()


@pytest.fixture
def threads(clock: ThreadedClock) -> Iterator[Threads]:
    threads = Threads(clock, 2, name="task")
    threads.startService()
    yield threads
    clock.wait(threads.stopService())


def where(*, suffix: str = "") -> list[object]:
    return [current_thread().name + suffix, current_task()]


async def aloud(word: str) -> object:
    return [word.upper(), current_task()]


def test_a_plain_function_runs_on_a_thread_and_knows_its_task(clock: ThreadedClock, threads: Threads) -> None:
    functions = Functions({"where": where}, threads)
    assert clock.wait(functions.begin(TASK, "where", {"suffix": "!"})) == ["task-0!", TASK]


def test_an_async_function_runs_in_the_event_loop_and_knows_its_task(clock: ThreadedClock, threads: Threads) -> None:
    functions = Functions({"aloud": aloud}, threads)
    assert clock.wait(functions.begin(TASK, "aloud", {"word": "a"})) == ["A", TASK]
    assert threads.busy == 0


def test_elsewhere_there_is_no_current_task() -> None:
    with pytest.raises(LookupError):
        current_task()


def test_an_unknown_name_and_wrong_arguments_are_refused_before_anything_is_queued(threads: Threads) -> None:
    functions = Functions({"aloud": aloud, "max": max}, threads)
    functions.check("aloud", {"word": "x"})
    functions.check("max", {})  # has no signature: the call will tell
    with pytest.raises(Unprocessable, match="there is no task 'nope'"):
        functions.check("nope", {})
    for arguments in ({}, {"wort": "x"}, {"word": "x", "more": 1}):
        with pytest.raises(Unprocessable, match="cannot be called so"):
            functions.check("aloud", arguments)


def test_a_function_that_is_gone_is_an_error_of_its_attempt(threads: Threads) -> None:
    with pytest.raises(Unprocessable):
        Functions({}, threads).begin(TASK, "gone", {})


def test_the_simulation_takes_its_time_whatever_the_task() -> None:
    clock = Clock()
    simulation = Simulation(clock, 5.0)
    simulation.check("anything", {"a": 1})
    results: list[Any] = []
    done: Deferred[Any] = simulation.begin(TASK, "anything", {})
    done.addCallback(results.append)
    clock.advance(4.9)
    assert results == []
    clock.advance(0.1)
    assert results == [{"simulated_s": 5.0}]


# modules


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [entry for entry in __import__("sys").path if entry])
    return tmp_path


def test_public_functions_that_a_module_defines_are_tasks(modules: Path) -> None:
    (modules / "t_public.py").write_text(
        "from os.path import join\nimport os\nclass C: pass\nNUMBER = 1\n"
        "def _private(): pass\ndef report(): pass\nasync def later(): pass\n"
    )
    assert sorted(load_tasks(["t_public"])) == ["later", "report"]


def test_a_mapping_named_tasks_says_it_all(modules: Path) -> None:
    (modules / "t_mapping.py").write_text("from os.path import join\ndef other(): pass\nTASKS = {'join-paths': join}\n")
    assert list(load_tasks(["t_mapping"])) == ["join-paths"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("import nowhere_to_be_found", "cannot import {}: ModuleNotFoundError"),
        ("def f(:", "cannot import {}: SyntaxError"),
        ("raise RuntimeError('two\\nlines')", "cannot import {}: RuntimeError: two lines"),
        ("", "{} offers no task"),
        ("TASKS = {}", "{} offers no task"),
        ("TASKS = ['f']", "{}.TASKS must map names to functions"),
        ("TASKS = {'f': 1}", "{}.TASKS must map names to functions"),
    ],
)
def test_a_module_that_cannot_be_used_is_one_line(modules: Path, text: str, why: str, request: pytest.FixtureRequest) -> None:
    name = f"t_bad_{abs(hash(text))}"
    (modules / f"{name}.py").write_text(text)
    with pytest.raises(ConfigError) as refused:
        load_tasks([name])
    assert str(refused.value).startswith("--tasks: " + why.format(name))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["", "tasks.py.", "a-b", "./tasks", "../x"])
def test_what_cannot_be_a_module_s_name_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="is not the name of a module"):
        load_tasks([name])


def test_one_name_in_two_modules_is_refused(modules: Path) -> None:
    (modules / "t_one.py").write_text("def report(): pass\n")
    (modules / "t_two.py").write_text("def report(): pass\n")
    with pytest.raises(ConfigError, match="t_two offers the task 'report' a second time"):
        load_tasks(["t_one", "t_two"])
