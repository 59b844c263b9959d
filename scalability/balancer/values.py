"""What single options of scalelab-lb may be set to, where a number or a word does not say it. PURE."""

import re
from typing import NamedTuple, Self

from scalability.proxy.retrying import REASONS
from scalability.upstream.selection import ALGORITHMS

FRAMING = frozenset(("connection", "content-length", "transfer-encoding", "te", "trailer", "upgrade", "expect", "keep-alive"))


class Algorithm(NamedTuple):
    """The name of a selection algorithm that there is."""

    name: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a name. Raises ValueError, saying which there are."""
        if text not in ALGORITHMS:
            raise ValueError(f"there is no algorithm {text!r}; there are {', '.join(ALGORITHMS)}")
        return cls(text)

    def __str__(self) -> str:
        return self.name


class UpgradeName(NamedTuple):
    """A protocol that a client's connection may switch to, or ``none``."""

    name: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a protocol's name as Upgrade has it. Raises ValueError, saying what is wrong."""
        name = text.lower()
        if re.fullmatch(r"[!#$%&'*+\-.^`|~\w]+(?:/[!#$%&'*+\-.^`|~\w]+)?", name, re.ASCII) is None:
            raise ValueError(f"{text!r} is not the name of a protocol, such as websocket")
        if name == "h2c" or name.startswith(("http", "tls")):
            raise ValueError(f"{text!r} is not passed on: requests within it would go unseen")
        return cls(name)

    def __str__(self) -> str:
        return self.name


class RetryReason(NamedTuple):
    """A reason to send a request once more."""

    name: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a reason's name. Raises ValueError, saying which there are."""
        if text not in REASONS:
            raise ValueError(f"{text!r} is none of {', '.join(REASONS)}")
        return cls(text)

    def __str__(self) -> str:
        return self.name


class PathOfURL(NamedTuple):
    """A path that a request line can name."""

    path: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``/path``, with a query or without. Raises ValueError, saying what is wrong."""
        if not text.startswith("/") or not text.isascii() or not text.isprintable() or " " in text or "#" in text:
            raise ValueError(f"{text!r} is not a path that begins with / and has neither spaces nor # in it")
        return cls(text)

    def __str__(self) -> str:
        return self.path


class CheckField(NamedTuple):
    """A header field that checks are sent with."""

    name: str
    value: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``NAME:VALUE``. Raises ValueError, saying what is wrong."""
        name, colon, value = text.partition(":")
        value = value.strip()
        if not colon or re.fullmatch(r"[!#$%&'*+\-.^`|~\w]+", name, re.ASCII) is None:
            raise ValueError(f"{text!r} is not NAME:VALUE, as Host:shop.example")
        if re.fullmatch(r"[\t -~]*", value) is None:
            raise ValueError(f"{text!r}: a value has printable ASCII characters only")
        if name.lower() in FRAMING:
            raise ValueError(f"{text!r}: checks have no body, and a connection each; what they send says so")
        return cls(name, value)

    def __str__(self) -> str:
        return f"{self.name}:{self.value}"
