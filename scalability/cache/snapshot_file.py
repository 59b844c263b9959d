"""A snapshot's file: replaced in one step or not at all. Every function here blocks.

What is written goes into ``FILE.tmp``, is flushed to the disk, and takes the place of ``FILE`` by a rename, whose folder is flushed
too: whenever the process or the machine ends, ``FILE`` is the snapshot before or the one after, whole. ``FILE-lock`` is locked
(flock) by the server whose file it is.
"""

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from typing import Final

from scalability.cache.snapshot_format import Record, block, blocks, end, grouped, header

MODE: Final = 0o600
"""Values may be anybody's secrets."""


class InUse(Exception):
    """Another process has the file."""


def lock(path: Path) -> int:
    """Take ``path`` for this process: a descriptor that holds it until it is closed or the process ends. Raises InUse or OSError."""
    descriptor = os.open(f"{path}-lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, MODE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.pread(descriptor, 20, 0).decode(errors="replace").strip()
        os.close(descriptor)
        raise InUse(f"is in use by process {owner or 'another'}; each server needs a file of its own") from None
    except OSError:
        os.close(descriptor)
        raise
    with suppress(OSError):  # a full disk: only the number for the message is missing
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
    return descriptor


def read(path: Path) -> Iterator[list[Record]]:
    """The records of the snapshot at ``path``, block by block. Raises SnapshotDamaged or OSError, FileNotFoundError when there is none."""
    with path.open("rb") as file:
        left = os.fstat(file.fileno()).st_size

        def next_bytes(length: int) -> bytes:
            nonlocal left
            # never more than there is: room for a length that is damaged would be made before anything is read
            found = file.read(min(length, left))
            left -= len(found)
            return found

        yield from blocks(next_bytes)
        if left:
            raise OSError("the file changed while it was read")


def set_aside(path: Path, now: float) -> Path:
    """Rename what cannot be read, so that nothing replaces it; its new name. ``now``: unix seconds. Raises OSError."""
    stamp = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
    aside = Path(f"{path}.bad-{stamp}")
    number = 1
    while aside.exists():
        number += 1
        aside = Path(f"{path}.bad-{stamp}-{number}")
    path.rename(aside)
    return aside


class SnapshotWriter:
    """One snapshot on its way to ``path``: ``open``, ``add``, ``commit``; ``abandon`` at any time. Raises OSError (a full disk)."""

    def __init__(self, path: Path, began_at: float) -> None:
        self._path = path
        self._temporary = Path(f"{path}.tmp")
        self._began_at = began_at
        self._blocks = self.records = self.bytes = 0
        self._file: FileIO | None = None

    def open(self) -> None:
        """Begin."""
        descriptor = os.open(self._temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, MODE)
        self._file = FileIO(descriptor, "wb")
        self._write((header(self._began_at),))

    def add(self, records: Iterable[Record]) -> None:
        """Write these, as one block or several."""
        for group in grouped(records):
            self._write(block(self._blocks, group))
            self._blocks += 1
            self.records += len(group)

    def commit(self) -> int:
        """Put it in its place, to stay there whatever happens; its length in bytes."""
        file = self._write((end(self._blocks, self.records),))
        os.fsync(file.fileno())
        file.close()
        self._temporary.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return self.bytes

    def abandon(self) -> None:
        """Leave the snapshot before as it is, and nothing of this one. Never raises; after ``commit`` it does nothing."""
        file = self._file
        if file is None or file.closed:
            return
        with suppress(OSError):
            file.close()
        with suppress(OSError):
            self._temporary.unlink()

    def _write(self, pieces: Iterable[bytes]) -> FileIO:
        file = self._file
        assert file is not None, "open comes first"
        for piece in pieces:
            rest = memoryview(piece)
            while rest:
                written = file.write(rest)
                self.bytes += written
                rest = rest[written:]
        return file
