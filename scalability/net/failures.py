"""An error as a small JSON answer: ``{"error": "<code>", "message": "<sentence>"}`` with the status of its type."""

from collections.abc import Sequence

import msgspec

from scalability.errors import ScalelabError
from scalability.http1.answer import simple_answer
from scalability.http1.fields import Field

JSON = b"application/json"


def error_body(error: ScalelabError) -> bytes:
    """The JSON object that a client is told. Never an address, a credential or a traceback: see ``errors``."""
    return msgspec.json.encode({"error": error.code, "message": str(error)})


def error_fields(error: ScalelabError) -> list[Field]:
    """The fields that belong to ``error``: Retry-After and Allow where it names them; and nobody may store it."""
    fields = [(b"Cache-Control", b"no-store")]
    if error.retry_after_s is not None:
        fields.append((b"Retry-After", b"%d" % error.retry_after_s))
    if error.allow:
        fields.append((b"Allow", ", ".join(error.allow).encode()))
    return fields


def error_answer(error: ScalelabError, *, keep_alive: bool, minor: int, head_only: bool, fields: Sequence[Field] = ()) -> bytes:
    """The complete answer, with ``fields`` besides those of the error."""
    said = [*error_fields(error), *fields]
    return simple_answer(error.status, error_body(error), JSON, fields=said, keep_alive=keep_alive, minor=minor, head_only=head_only)
