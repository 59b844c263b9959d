"""``tools/apikey.py``: makes a key, shows it once, and writes down what lets its holder in."""

import argparse
import os
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path

from scalability.errors import ConfigError
from scalability.gateway.access.api_keys import line_for, read_ring
from scalability.gateway.access.key_file import read_key_file

KEY_BYTES = 32


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. Returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="apikey.py",
        description="Make an API key of 256 random bits for NAME. The key is printed, once; its SHA-256 is what the gateway needs.",
        epilog="Several keys of one name are fine: add the new one, tell its holder, take the old line out.",
    )
    parser.add_argument("name", metavar="NAME", help="whose key it is: the gateway tells the servers behind it")
    parser.add_argument("--file", type=Path, metavar="FILE", help="add the line to FILE (made, for its owner only, when it is not there)")
    chosen = parser.parse_args(arguments)
    key = secrets.token_urlsafe(KEY_BYTES)
    try:
        line = line_for(chosen.name, key)
        if chosen.file is not None:
            add_line(chosen.file, line)
    except (ValueError, OSError, ConfigError) as error:
        sys.stderr.write(f"apikey: {error}\n")
        return 1
    sys.stdout.write(key + "\n")
    if chosen.file is None:
        sys.stderr.write(line + "\n")
    return 0


def add_line(file: Path, line: str) -> None:
    """Add ``line`` to ``file``, which is replaced as a whole, so that nobody reads it half written. Raises ConfigError, OSError."""
    before = b""
    if file.exists():
        read_key_file(file, "--file")
        before = file.read_bytes()
        if before and not before.endswith(b"\n"):
            before += b"\n"
    content = before + line.encode() + b"\n"
    read_ring(content)
    new = file.with_name(f".{file.name}.{os.getpid()}")
    mode = file.stat().st_mode & 0o777 if file.exists() else 0o600
    try:
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as opened:
            opened.write(content)
        os.replace(new, file)
    except OSError:
        new.unlink(missing_ok=True)
        raise
