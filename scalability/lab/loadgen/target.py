"""What is asked for, as the bytes that are sent: made once, sent as often as it takes."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from scalability.config import Address

MAX_BODY_BYTES = 64 << 20
"""A larger body has no place in memory, where it is kept."""

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_PATH = re.compile(r"/[!-\"$-~]*")
_VALUE = re.compile(r"[\t -~\x80-\xff]*")
_OURS = {"content-length": "it is computed", "transfer-encoding": "bodies are sent with their length", "connection": "use --no-keepalive"}
_WITH_BODY = ("POST", "PUT", "PATCH")


@dataclass(frozen=True)
class Target:
    """Where a load goes and the request that it is made of."""

    url: str
    address: Address
    method: bytes
    request: bytes
    keep_alive: bool


def target(
    url: str, *, method: str = "GET", headers: Sequence[str] = (), body: bytes = b"", keep_alive: bool = True, agent: str = "scalelab"
) -> Target:
    """The request for ``url`` with ``headers`` ("Name: value"). Raises ValueError, saying what cannot be sent and why."""
    address, host, path = _split(url)
    if not _TOKEN.fullmatch(method):
        raise ValueError(f"--method: {method!r} is not a method")
    if len(body) > MAX_BODY_BYTES:
        raise ValueError(f"--body: {len(body)} bytes are more than {MAX_BODY_BYTES}")
    fields = {"host": f"Host: {host}", "user-agent": f"User-Agent: {agent}", "accept": "Accept: */*"}
    more = []
    for line in headers:
        name, colon, value = line.partition(":")
        if not colon or not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
            raise ValueError(f"--header: {line!r} is not 'Name: value'")
        if name.lower() in _OURS:
            raise ValueError(f"--header: {name} cannot be set: {_OURS[name.lower()]}")
        field = f"{name}: {value.strip()}"
        if name.lower() in fields:
            fields[name.lower()] = field
        else:
            more.append(field)
    if body or method in _WITH_BODY:
        more.append(f"Content-Length: {len(body)}")
    if not keep_alive:
        more.append("Connection: close")
    head = "\r\n".join([f"{method} {path} HTTP/1.1", *fields.values(), *more, "", ""])
    return Target(url, address, method.encode(), head.encode("latin-1") + body, keep_alive)


def _split(url: str) -> tuple[Address, str, str]:
    parts = urlsplit(url)
    if parts.scheme != "http":
        raise ValueError(f"{url!r} is not an http:// URL")
    if "@" in parts.netloc:
        raise ValueError(f"{url!r}: credentials belong into --header 'Authorization: ...'")
    has_port = ":" in parts.netloc.rpartition("]")[2]
    try:
        address = Address.parse(parts.netloc if has_port else f"{parts.netloc}:80")
    except ValueError as error:
        raise ValueError(f"{url!r}: {error}") from None
    if not parts.hostname or not address.port or not address.host.isascii():
        raise ValueError(f"{url!r}: write http://HOST:PORT/PATH")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not _PATH.fullmatch(path):
        raise ValueError(f"{url!r}: percent-encode what is not plain ASCII in the path")
    return address, parts.netloc, path
