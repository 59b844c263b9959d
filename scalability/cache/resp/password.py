"""The password of RESP: the first line of a file, read anew when the file is another one. So it is changed without a restart.

While the file cannot be read, or has no password in it, nobody is let in; whoever has given the old one before stays.
"""

import hmac
import os
from pathlib import Path

from twisted.logger import Logger

from scalability.config.named_file import read_named
from scalability.errors import ConfigError

FLAG = "--resp-password-file"
MAX_BYTES = 4096


def read_password(file: Path) -> bytes:
    """The password in ``file``. Raises ConfigError, which never shows it."""
    password = read_named(FLAG, file, MAX_BYTES).split(b"\n", 1)[0].rstrip(b"\r")
    if not password:
        raise ConfigError(FLAG, f"{file} has no password in its first line; openssl rand -hex 32 makes a good one")
    return password


class Password:
    """The password, as it stands in ``file`` now."""

    log = Logger()

    def __init__(self, file: Path) -> None:
        self._file = file
        self._seen: tuple[int, int, int] | None = None
        self._password: bytes | None = None

    def right(self, given: bytes) -> bool:
        """Whether ``given`` is the password. Takes as long for a wrong one."""
        password = self._current()
        return hmac.compare_digest(given, password or b"") and password is not None

    def _current(self) -> bytes | None:
        try:
            found = os.stat(self._file)
            seen = (found.st_mtime_ns, found.st_size, found.st_ino)
        except OSError:
            seen = (0, 0, 0)
        if seen != self._seen:
            self._seen = seen
            try:
                self._password = read_password(self._file)
            except ConfigError as error:
                self._password = None
                self.log.error("no client of RESP can authenticate: {why}", why=str(error))
        return self._password
