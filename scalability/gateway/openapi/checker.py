"""The program that checks large bodies in a process of its own (``checkers`` starts it, and speaks to its standard input and output).

    {"document": 1}                                       and the document as JSON: it is called 1 from now on
    {"document": 1, "at": "/paths/...", "max_nesting": 64}   and a body: answered with a line, ["why it is no JSON", [["/0", "is wrong"]]]

Each is a header and what belongs to it, both with their lengths before them. At the end of its input, which the kernel closes when the
gateway dies however it dies, it ends.
"""

import json
import signal
import sys
from struct import Struct
from typing import IO, Any, Final

from scalability.gateway.openapi.bodies import judged
from scalability.gateway.openapi.document import Document
from scalability.gateway.openapi.schemas import Check, Schemas

LENGTHS: Final = Struct(">II")


def frame(header: dict[str, Any], payload: bytes) -> bytes:
    """A message to the program."""
    said = json.dumps(header).encode()
    return LENGTHS.pack(len(said), len(payload)) + said + payload


def read_frame(stream: IO[bytes]) -> tuple[dict[str, Any], bytes] | None:
    """The next message; None at the end."""
    lengths = stream.read(LENGTHS.size)
    if len(lengths) < LENGTHS.size:
        return None
    said, payload = LENGTHS.unpack(lengths)
    header: dict[str, Any] = json.loads(stream.read(said))
    return header, stream.read(payload)


class Checker:
    """What it has been told of documents, and the checks that it has made of them."""

    def __init__(self) -> None:
        self._schemas: dict[int, Schemas] = {}
        self._checks: dict[tuple[int, str], Check] = {}

    def answer(self, header: dict[str, Any], payload: bytes) -> bytes:
        """What is to be written: nothing for a document."""
        number, at = header["document"], header.get("at")
        if at is None:
            self._schemas[number] = Schemas(Document(json.loads(payload)))
            return b""
        check = self._checks.get((number, at))
        if check is None:
            check = self._checks[number, at] = self._schemas[number].check(at)
        verdict = judged(payload, check, header["max_nesting"])
        return json.dumps(verdict).encode() + b"\n"


def main(stdin: IO[bytes], stdout: IO[bytes]) -> None:
    """Answer until there is no more."""
    checker = Checker()
    while (message := read_frame(stdin)) is not None:
        stdout.write(checker.answer(*message))
        stdout.flush()


if __name__ == "__main__":
    # Ctrl-C goes to the whole process group; the end of the input ends this
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    main(sys.stdin.buffer, sys.stdout.buffer)
