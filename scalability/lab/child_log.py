"""The log observer that the lab gives its children: no time stamps, since the lab's own log has them."""

import re
import sys

from twisted.logger import ILogObserver, LogEvent, LogLevel, eventAsText
from zope.interface import implementer

_OF_SOCKETS = re.compile(r"\S+ starting on \S+|\(TCP Port \d+ Closed\)")


@implementer(ILogObserver)
class ChildLog:
    """Writes each event to standard output as its text alone; from a warning upward, its level stands before it.

    Left out is what twistd says of itself at every start (version, interpreter, reactor class), seven times the same, and what
    Twisted says of each listening socket, of which our own line says more.
    """

    def __call__(self, event: LogEvent) -> None:
        level = event.get("log_level")
        if level is LogLevel.debug:
            return
        if level is LogLevel.info and str(event.get("log_namespace", "")).startswith("twisted."):
            return
        text = eventAsText(event, includeTimestamp=False, includeSystem=False)
        if not text or (event.get("log_namespace") == "log_legacy" and _OF_SOCKETS.fullmatch(text)):
            return
        mark = f"{level.name}: " if level in (LogLevel.warn, LogLevel.error, LogLevel.critical) else ""
        # looked up at each event: twistd replaces sys.stdout, which it logs, but never sys.__stdout__
        out = sys.__stdout__
        if out is not None:
            out.write(f"{mark}{text}\n")
            out.flush()


def observer() -> ChildLog:
    """What ``twistd --logger`` wants: a function that makes the observer."""
    return ChildLog()
