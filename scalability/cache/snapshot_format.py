"""The bytes of a snapshot. PURE.

All numbers little-endian. A header, blocks, an end; each part with a CRC-32 of its own, so that whatever was cut off, changed, swapped
or added is noticed. A block's CRC begins with its number.

    header   8 bytes "SCLCACHE", version (uint32), unix seconds of its beginning (float64), CRC of what is before it
    block    length of the records in bytes (uint32, not 0), their number (uint32), CRC of both and of the records; the records
    record   unix seconds of its end (float64, inf: none), length of the key and of the value (uint32 each), key, value
    end      0, number of blocks (uint32), records in all blocks (uint64), CRC; then nothing
"""

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, NamedTuple
from zlib import crc32

MAGIC: Final = b"SCLCACHE"
VERSION: Final = 1
BLOCK_BYTES: Final = 256 << 10
"""A block that has so many is full: what is in memory at once, of a snapshot of any size, but for one record that is larger."""
MAX_LENGTH: Final = 0xFFFF_FFFF
"""Of one block, in bytes."""

_HEAD: Final = struct.Struct("<8sId")
_BLOCK: Final = struct.Struct("<II")
_RECORD: Final = struct.Struct("<dII")
_END: Final = struct.Struct("<IIQ")
_CRC: Final = struct.Struct("<I")
_NUMBER: Final = struct.Struct("<Q")


class Record(NamedTuple):
    """An entry. ``expires_at`` in unix seconds; ``inf``: never."""

    key: bytes
    value: bytes
    expires_at: float


class SnapshotDamaged(Exception):
    """The bytes are no snapshot, or not a whole one; the message says which rule they break."""


def header(began_at: float) -> bytes:
    """The first bytes. ``began_at``: unix seconds."""
    return _sealed(_HEAD.pack(MAGIC, VERSION, began_at))


def block(number: int, records: Sequence[Record]) -> list[bytes]:
    """The block with that number (0, 1, ...), in pieces to write one after the other: what is large is not copied.

    Raises ValueError for one that is empty or has more than ``MAX_LENGTH`` bytes.
    """
    parts: list[bytes] = []
    for key, value, expires_at in records:
        parts += (_RECORD.pack(expires_at, len(key), len(value)), key, value)
    length = sum(map(len, parts))
    if not 0 < length <= MAX_LENGTH:
        raise ValueError(f"a block of {length} bytes")
    if length < 2 * BLOCK_BYTES:
        parts = [b"".join(parts)]
    head = _BLOCK.pack(length, len(records))
    return [head + _CRC.pack(_block_crc(number, head, parts)), *parts]


def end(blocks: int, records: int) -> bytes:
    """The last bytes."""
    return _sealed(_END.pack(0, blocks, records))


def grouped(records: Iterable[Record]) -> Iterator[list[Record]]:
    """The records of each block in turn."""
    group: list[Record] = []
    held = 0
    for record in records:
        group.append(record)
        held += _RECORD.size + len(record.key) + len(record.value)
        if held >= BLOCK_BYTES:
            yield group
            group, held = [], 0
    if group:
        yield group


def blocks(read: Callable[[int], bytes]) -> Iterator[list[Record]]:
    """The records of a snapshot, block by block. ``read(n)`` gives the next ``n`` bytes, fewer only at the end of the file.

    Raises SnapshotDamaged where the snapshot is damaged, after the blocks before that; only who came to the end has a whole one.
    """
    magic, version, _ = _HEAD.unpack(_unsealed(read, b"", _HEAD.size, "its header"))
    if magic != MAGIC:
        raise SnapshotDamaged("it is not a snapshot of this cache")
    if version != VERSION:
        raise SnapshotDamaged(f"it has version {version}, and {VERSION} is read here")
    number = told = 0
    while True:
        head = _exactly(read, _BLOCK.size)
        length, count = _BLOCK.unpack(head)
        if not length:
            _, number_told, records_told = _END.unpack(_unsealed(read, head, _END.size - len(head), "its end"))
            if (number_told, records_told) != (number, told):
                raise SnapshotDamaged("blocks are missing")
            if read(1):
                raise SnapshotDamaged("there is more behind its end")
            return
        (crc,) = _CRC.unpack(_exactly(read, _CRC.size))
        body = _exactly(read, length)
        if crc != _block_crc(number, head, (body,)):
            raise SnapshotDamaged(f"block {number} does not match its checksum")
        records = list(_records(body))
        if len(records) != count:
            raise SnapshotDamaged(f"block {number} has {len(records)} records instead of {count}")
        number += 1
        told += count
        yield records


def _records(body: bytes) -> Iterator[Record]:
    at, size, unpack = 0, _RECORD.size, _RECORD.unpack_from
    last = len(body)
    while at < last:
        if last - at < size:
            raise SnapshotDamaged("a record is cut off")
        expires_at, key_length, value_length = unpack(body, at)
        at += size
        middle = at + key_length
        after = middle + value_length
        if after > last:
            raise SnapshotDamaged("a record is cut off")
        yield Record(body[at:middle], body[middle:after], expires_at)
        at = after


def _block_crc(number: int, head: bytes, parts: Iterable[bytes]) -> int:
    crc = crc32(head, crc32(_NUMBER.pack(number)))
    for part in parts:
        crc = crc32(part, crc)
    return crc


def _sealed(content: bytes) -> bytes:
    return content + _CRC.pack(crc32(content))


def _unsealed(read: Callable[[int], bytes], before: bytes, length: int, what: str) -> bytes:
    """The next ``length`` bytes behind ``before`` with a CRC, which is checked."""
    content = before + _exactly(read, length)
    if _CRC.unpack(_exactly(read, _CRC.size)) != (crc32(content),):
        raise SnapshotDamaged(f"{what} does not match its checksum")
    return content


def _exactly(read: Callable[[int], bytes], length: int) -> bytes:
    found = read(length)
    if len(found) != length:
        raise SnapshotDamaged("it is cut off")
    return found
