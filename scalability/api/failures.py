"""Whatever a Klein route raises becomes a JSON answer; tracebacks go to the log."""

from typing import Any, cast

from klein import Klein
from twisted.logger import Logger
from twisted.python.failure import Failure
from werkzeug.exceptions import HTTPException
from werkzeug.exceptions import MethodNotAllowed as NoSuchMethod

from scalability.api.json import error_answer
from scalability.errors import ClientError, MethodNotAllowed, NotFound, ScalelabError

log = Logger()


def json_errors(app: Klein) -> Klein:
    """Make ``app`` answer every failure of its routes as JSON; returns ``app``.

    ``mount`` does it for every app; an app that is rendered by something else (a test, another site) asks for it here.
    """
    app.handle_errors(ScalelabError, HTTPException, Exception)(cast(Any, answer_failure))
    return app


def answer_failure(*args: Any) -> bytes:
    """Klein's error handler: ``([instance,] request, failure)`` to the body of the answer.

    An answer that had begun cannot be taken back: its connection is aborted, so that it is never mistaken for a complete one.
    """
    request, failure = args[-2:]  # Klein passes the instance first where the app is bound to one
    if request.startedWriting:
        log.failure("a route failed in the middle of its answer", failure)
        getattr(request, "abort", request.transport.abortConnection)()
        return b""
    return error_answer(request, _known(failure))


def _known(failure: Failure) -> ScalelabError:
    error = failure.value
    if isinstance(error, ScalelabError):
        return error
    if isinstance(error, NoSuchMethod):
        return MethodNotAllowed(allow=tuple(sorted(error.valid_methods or ())))
    if isinstance(error, HTTPException):
        # werkzeug's redirects (to the path with a slash, for example) are not what an API's client should follow
        code = error.code or 404
        return NotFound() if code < 400 or code == 404 else _refused(code, error.description or "")
    log.failure("a route failed", failure)
    return ScalelabError("this server made a mistake; its log says more")


def _refused(code: int, why: str) -> ScalelabError:
    refused = ClientError(why)
    refused.status = code
    return refused
