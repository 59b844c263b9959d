"""What became of a child process, in words for the log."""

import signal
from typing import Any

from twisted.python.failure import Failure


def how_it_ended(reason: Failure) -> str:
    """``reason`` is what ``processEnded`` is told, or the OSError that ``spawnProcess`` raised."""
    error: Any = reason.value
    number = getattr(error, "signal", None)
    if number is not None:
        return f"was ended by {signal.Signals(number).name}"
    status = getattr(error, "exitCode", None)
    return f"ended with status {status}" if status is not None else f"could not be started ({error})"
