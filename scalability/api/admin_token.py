"""Who may change a running server: whoever knows the token in the file of ``--admin-token-file``.

The file is looked at for each call that would change something, and read anew when it is another one: a token is changed without a
restart. While it cannot be read, or is too short, nobody may change anything; the old token is not believed any longer.
"""

import hmac
import os
from pathlib import Path
from typing import TYPE_CHECKING

from twisted.logger import Logger

from scalability.config.named_file import read_named
from scalability.errors import ConfigError, Forbidden, Unauthorized

if TYPE_CHECKING:
    from twisted.web.iweb import IRequest

FLAG = "--admin-token-file"
MIN_CHARACTERS = 16
MAX_BYTES = 4096

_UNSET = (0, 0, 0)


def read_token(file: Path) -> bytes:
    """The token in ``file``, without white space around it. Raises ConfigError, which never shows it."""
    token = read_named(FLAG, file, MAX_BYTES).strip()
    if not token.isascii() or not token.decode("ascii").isprintable() or b" " in token:
        raise ConfigError(FLAG, f"{file} is no token: printable ASCII characters without a space")
    if len(token) < MIN_CHARACTERS:
        raise ConfigError(FLAG, f"{file}: a token has at least {MIN_CHARACTERS} characters; openssl rand -hex 32 makes a good one")
    return token


class AdminToken:
    """The token, as it stands in ``file`` now. Without a file nobody may change anything."""

    log = Logger()

    def __init__(self, file: Path | None) -> None:
        self.file = file
        """May be replaced at any time."""
        self._seen: tuple[Path | None, tuple[int, int, int]] = (None, _UNSET)
        self._token: bytes | None = None

    def check(self, request: "IRequest") -> None:
        """Return when ``request`` may change something. Raises Unauthorized or Forbidden."""
        token = self._current()
        values = request.requestHeaders.getRawHeaders(b"authorization") or []
        scheme, _, given = values[0].strip().partition(b" ") if len(values) == 1 else (b"", b"", b"")
        if scheme.lower() != b"bearer":
            raise Unauthorized(f"to change something a token is needed: Authorization: Bearer TOKEN, with the one in the file of {FLAG}")
        if not hmac.compare_digest(given.strip(), token):
            self.log.warn("a call that would change something had a wrong token: {method} {path}", method=request.method, path=request.path)
            raise Unauthorized(f"that is not the token in the file of {FLAG}")

    def _current(self) -> bytes:
        if self.file is None:
            raise Forbidden(f"nothing can be changed here: start this server with {FLAG} FILE, and send the token in that file")
        seen = (self.file, self._signature(self.file))
        if seen != self._seen or self._token is None:
            self._seen, self._token = seen, None
            try:
                self._token = read_token(self.file)
            except ConfigError as error:
                self.log.error("nothing can be changed by admin calls: {why}", why=str(error))
                raise Forbidden(f"nothing can be changed here until the file of {FLAG} can be read, and has a token") from error
        return self._token

    @staticmethod
    def _signature(file: Path) -> tuple[int, int, int]:
        # a call of some microseconds, for the few requests that change something
        try:
            found = os.stat(file)
        except OSError:
            return _UNSET
        return found.st_mtime_ns, found.st_size, found.st_ino
