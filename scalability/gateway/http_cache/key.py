"""Cache keys (RFC 9111 sections 2 and 4.1): one for the resource, one for what selected the representation. PURE.

The primary key is injective: two URIs have the same key only when RFC 9110 section 4.2.3 and RFC 3986 section 6.2 call them equivalent.
"""

import re
from collections.abc import Sequence
from typing import Final

from scalability.gateway.http_cache.directives import Fields

_DEFAULT_PORTS: Final = {b"http": b"80", b"https": b"443"}
_ESCAPE: Final = re.compile(rb"%([0-9A-Fa-f]{2})")
_UNRESERVED: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_~")
"""RFC 3986's unreserved letters but the dot: an escaped dot may be part of a segment that somebody resolves."""
_NAME: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++")
_AROUND_COMMA: Final = re.compile(rb"[ \t]*+,[ \t,]*+")
_WEIGHT: Final = re.compile(rb"[ \t]*;[ \t]*q=([01](?:\.[0-9]{0,3})?)\Z")
_LISTS_OF_TOKENS: Final = frozenset([b"accept-encoding", b"accept-language", b"accept-charset"])
"""Their members are compared without regard to case, and may have a weight."""


def primary_key(scheme: bytes, authority: bytes, target: bytes) -> bytes:
    """The key of a URI: ``scheme`` http or https, ``authority`` as in Host, ``target`` in origin form (or ``*``).

    None of the three has a space in it (``http1.request_head`` sees to that), so the key can be read back. Scheme and host are compared
    without regard to case, the scheme's default port is left out, escapes are in upper case and unreserved letters unescaped.
    """
    scheme = scheme.lower()
    authority = authority.lower()
    host, colon, port = authority.rpartition(b":")
    if colon and not port.endswith(b"]") and (not port or port == _DEFAULT_PORTS.get(scheme)):
        authority = host
    if b"%" in authority:
        authority = _ESCAPE.sub(_normal_host_escape, authority)
    if b"%" in target:
        target = _ESCAPE.sub(_normal_escape, target)
    return b"%b %b %b" % (scheme, authority, target)


def _normal_escape(match: re.Match[bytes]) -> bytes:
    octet = int(match[1], 16)
    return bytes([octet]) if octet in _UNRESERVED else match[0].upper()


def _normal_host_escape(match: re.Match[bytes]) -> bytes:
    return _normal_escape(match).lower() if int(match[1], 16) in _UNRESERVED else match[0].upper()


def vary_names(head: Fields) -> tuple[bytes, ...] | None:
    """The field names that an answer's Vary lists, in lower case, sorted, once each; None when there is a ``*``, which nothing matches.

    What is no field name cannot be compared, and counts as ``*``.
    """
    lines = head.get_all(b"vary")
    if not lines:
        return ()
    names = {name for line in lines for part in line.split(b",") if (name := part.strip(b" \t").lower())}
    if b"*" in names or not all(_NAME.fullmatch(name) for name in names):
        return None
    return tuple(sorted(names))


def selecting_values(names: Sequence[bytes], request: Fields) -> tuple[bytes | None, ...]:
    """The secondary key: what ``request`` has in the fields ``names``, so that values which mean the same are the same; None: absent."""
    return tuple([_normal_value(name, lines) if (lines := request.get_all(name)) else None for name in names])


def _normal_value(name: bytes, lines: list[bytes]) -> bytes:
    """Lines of one field are one list (RFC 9110 section 5.3), and blanks around its commas say nothing, outside of quotes."""
    value = b",".join([line.strip(b" \t") for line in lines])
    if name in _LISTS_OF_TOKENS:
        members = [_without_weight(part.strip(b" \t").lower()) for part in value.split(b",")]
        members = [part for part in members if part]
        # the order of codings says nothing (RFC 9110 section 12.5.3); that of languages may (section 12.5.4)
        return b",".join(members if name == b"accept-language" else sorted(members))
    if b"," in value and b'"' not in value and b"(" not in value:
        return _AROUND_COMMA.sub(b",", value)
    return value


def _without_weight(member: bytes) -> bytes:
    """A weight of 1 is the default (RFC 9110 section 12.4.2); zeros at a weight's end say nothing."""
    match = _WEIGHT.search(member)
    if match is None:
        return member
    weight = match[1].rstrip(b"0").rstrip(b".") if b"." in match[1] else match[1]
    name = member[: match.start()]
    return name if weight == b"1" else b"%b;q=%b" % (name, weight or b"0")
