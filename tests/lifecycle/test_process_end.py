import signal

import pytest
from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.python.failure import Failure

from scalability.lifecycle.process_end import how_it_ended


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ProcessTerminated(None, signal.SIGKILL), "was ended by SIGKILL"),
        (ProcessTerminated(3, None), "ended with status 3"),
        (ProcessDone(0), "ended with status 0"),
        (OSError(11, "no more processes"), "could not be started ([Errno 11] no more processes)"),
    ],
)
def test_its_end_is_told_in_words(error: Exception, words: str) -> None:
    assert how_it_ended(Failure(error)) == words
