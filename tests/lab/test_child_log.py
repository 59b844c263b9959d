"""What a child of the lab prints."""

import io
import sys

import pytest
from twisted.logger import Logger, LogLevel, LogPublisher, globalLogPublisher
from twisted.python import log as legacy
from twisted.python.failure import Failure

from scalability.lab.child_log import observer


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    out = io.StringIO()
    monkeypatch.setattr(sys, "__stdout__", out)
    return out


def logger(namespace: str) -> Logger:
    return Logger(namespace, observer=LogPublisher(observer()))


def test_information_is_its_text_alone(printed: io.StringIO) -> None:
    logger("scalability.net.listen").info("{who} listens", who="cache")
    assert printed.getvalue() == "cache listens\n"


def test_from_a_warning_upward_the_level_stands_before_it(printed: io.StringIO) -> None:
    log = logger("scalability.x")
    log.warn("odd")
    log.error("bad")
    log.critical("worse")
    assert printed.getvalue() == "warn: odd\nerror: bad\ncritical: worse\n"


def test_debugging_and_what_twisted_says_of_itself_are_left_out(printed: io.StringIO) -> None:
    logger("scalability.x").debug("detail")
    logger("twisted.scripts._twistd_unix.UnixAppLogger").info("twistd starting up.")
    logger("scalability.x").info("")
    assert printed.getvalue() == ""


def test_a_failure_has_its_traceback_which_no_client_sees(printed: io.StringIO) -> None:
    try:
        raise ValueError("why")
    except ValueError:
        logger("twisted.x").failure("it broke", Failure())
    assert printed.getvalue().startswith("critical: it broke\nTraceback")
    assert "ValueError: why" in printed.getvalue()


def test_legacy_messages_are_printed_but_not_those_of_each_socket(printed: io.StringIO) -> None:
    watch = observer()
    globalLogPublisher.addObserver(watch)
    try:
        legacy.msg("a library says something")
        legacy.msg("Site starting on 8000")
        legacy.msg("(TCP Port 8000 Closed)")
    finally:
        globalLogPublisher.removeObserver(watch)
    assert printed.getvalue() == "a library says something\n"


def test_a_process_without_standard_output_logs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "__stdout__", None)
    observer()({"log_level": LogLevel.info, "log_format": "x", "log_time": 0.0})
