"""Whatever a Klein route raises becomes a JSON answer; tracebacks go to the log."""

from typing import Any, cast

from klein import Klein
from twisted.logger import Logger
from werkzeug.exceptions import HTTPException
from werkzeug.exceptions import MethodNotAllowed as NoSuchMethod

from scalability.api.json import error_answer
from scalability.errors import ClientError, MethodNotAllowed, NotFound, ScalelabError

log = Logger()


def json_errors(app: Klein) -> Klein:
    """Make ``app`` answer every failure of its routes as JSON; returns ``app``."""
    app.handle_errors(ScalelabError, HTTPException, Exception)(cast(Any, _answer))
    return app


def _answer(*args: Any) -> bytes:
    request, failure = args[-2:]  # Klein passes the instance first where the app is bound to one
    return error_answer(request, _known(failure.value, failure))


def _known(error: BaseException, failure: Any) -> ScalelabError:
    if isinstance(error, ScalelabError):
        return error
    if isinstance(error, NoSuchMethod):
        return MethodNotAllowed(allow=tuple(sorted(error.valid_methods or ())))
    if isinstance(error, HTTPException):
        return NotFound() if error.code == 404 else ClientError(error.description or "")
    log.failure("a route failed", failure)
    return ScalelabError("this server made a mistake; its log says more")
