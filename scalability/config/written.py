"""Files that a server is going to write: whether that is possible, before it starts."""

import os
from pathlib import Path

from scalability.errors import ConfigError


def check_written(flag: str, file: Path, place: Path) -> None:
    """Raises ConfigError, which names ``flag``, when ``file`` cannot be written; ``place`` is what must be writable for that."""
    if "\0" in str(file):  # TOML can write that; open raises ValueError
        raise ConfigError(flag, f"{file} cannot be written: there is a NUL in its name")
    folder = file.absolute().parent
    if file.is_dir():
        raise ConfigError(flag, f"{file} is a folder")
    if not folder.is_dir():
        raise ConfigError(flag, f"there is no folder {folder}")
    if not os.access(place, os.W_OK):
        raise ConfigError(flag, f"{file} cannot be written")


def check_appended(flag: str, file: Path) -> None:
    """The same for a file that may be there already, and is appended to."""
    check_written(flag, file, file if file.exists() else file.absolute().parent)
