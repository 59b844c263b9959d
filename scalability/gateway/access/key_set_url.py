"""The URL of a JSON Web Key Set. PURE."""

import re
from typing import NamedTuple, Self

_URL = re.compile(r"https?://(?P<host>[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?(?P<path>/[!-~]*)?", re.IGNORECASE)


class KeySetURL(NamedTuple):
    """Where an issuer publishes its keys."""

    text: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``https://HOST[:PORT]/PATH``, or ``http://``. Raises ValueError, saying what is wrong."""
        match = _URL.fullmatch(text)
        if match is None or "#" in text or not 0 < int(match["port"] or 1) < 65536:
            raise ValueError(f"{text!r} is not https://HOST[:PORT]/PATH")
        return cls(text)

    @property
    def plain(self) -> bool:
        """Whether somebody on the way could put keys of his own in the place of the issuer's: http, and not to this machine."""
        match = _URL.fullmatch(self.text)
        assert match is not None
        local = match["host"] in ("localhost", "[::1]") or match["host"].startswith("127.")
        return self.text[:5].lower() == "http:" and not local

    @property
    def name(self) -> str:
        """What logs and metrics may tell of it: a query might hold a secret."""
        return self.text.partition("?")[0]

    def __str__(self) -> str:
        return self.text
