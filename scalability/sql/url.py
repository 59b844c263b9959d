"""Where a store keeps its rows, as ``--store`` writes it."""

from pathlib import Path
from typing import NamedTuple, Self


class StoreURL(NamedTuple):
    """``sqlite:FILE``; FILE may be relative (to the folder that the server was started in) or absolute."""

    path: Path

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``sqlite:FILE``. Raises ValueError, saying what is wrong."""
        scheme, colon, file = text.partition(":")
        if not colon or scheme != "sqlite":
            raise ValueError(f"{text!r} is not sqlite:FILE")
        if not file or "\0" in file or file.endswith("/"):
            raise ValueError(f"{text!r} names no file; write sqlite:FILE")
        if file.startswith("//"):
            raise ValueError(f"{text!r}: write the path right after the colon, as sqlite:/var/lib/tasks.sqlite3")
        if file == ":memory:":
            raise ValueError(f"{text!r}: what is in memory is lost with the process; name a file")
        return cls(Path(file))

    def __str__(self) -> str:
        return f"sqlite:{self.path}"
