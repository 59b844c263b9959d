"""PURE. What is wrong with a body that is to be JSON of a schema."""

from typing import NamedTuple

from scalability.gateway.openapi.parameters import NotJSON, parse_json
from scalability.gateway.openapi.schemas import Check


class Verdict(NamedTuple):
    """``not_json`` says why it is none; else ``problems`` are JSON pointers into it and sentences. Neither: it is valid."""

    not_json: str
    problems: list[tuple[str, str]]


def judged(body: bytes, check: Check, max_nesting: int) -> Verdict:
    """Read ``body``, and check what it holds. Some 50 us a KiB."""
    try:
        value = parse_json(body, max_nesting)
    except NotJSON as error:
        return Verdict(str(error), [])
    return Verdict("", check(value))
