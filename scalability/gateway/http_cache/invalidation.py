"""What an unsafe request makes invalid (RFC 9111 section 4.4). PURE."""

from urllib.parse import urljoin, urlsplit

from scalability.gateway.http_cache.key import primary_key
from scalability.gateway.http_cache.reuse import SAFE
from scalability.http1.request_head import RequestHead
from scalability.http1.response_head import ResponseHead


def invalidated(scheme: bytes, request: RequestHead, response: ResponseHead) -> list[bytes]:
    """The primary keys of the URIs whose stored answers an answer makes invalid; ``scheme`` is that of the request.

    A 2xx or 3xx to a method that is not known to be safe invalidates the target, and what Location and Content-Location point to when
    that has the target's origin; another origin's could be anybody's.
    """
    if request.method in SAFE or not 200 <= response.status < 400 or request.target == b"*":
        return []
    key = primary_key(scheme, request.host, request.target)
    found = [key]
    for name in (b"location", b"content-location"):
        for value in response.get_all(name):
            other = _key_of(scheme, request, value)
            if other is not None and other.rpartition(b" ")[0] == key.rpartition(b" ")[0] and other not in found:
                found.append(other)
    return found


def _key_of(scheme: bytes, request: RequestHead, reference: bytes) -> bytes | None:
    """The key of a URI reference, relative to the request's target; None for what is no URI of HTTP."""
    base = b"%b://%b%b" % (scheme, request.host, request.target)
    try:
        parts = urlsplit(urljoin(base.decode("latin-1"), reference.decode("latin-1")))
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or "@" in parts.netloc or " " in parts.netloc or " " in parts.path or " " in parts.query:
        return None
    target = (parts.path or "/") + ("?" + parts.query if parts.query else "")
    return primary_key(parts.scheme.encode("latin-1"), parts.netloc.encode("latin-1"), target.encode("latin-1"))
