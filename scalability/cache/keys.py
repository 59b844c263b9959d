"""Keys, as they are written over HTTP. PURE."""

from scalability.errors import ClientError

MAX_KEY_BYTES = 1024
"""Of UTF-8."""


def key_bytes(text: str, where: str = "") -> bytes:
    """The key that ``text`` names. Raises ClientError, whose message begins with ``where``, for one that is too long."""
    key = text.encode()
    if len(key) > MAX_KEY_BYTES:
        raise ClientError(f"{where}the key has {len(key)} bytes; {MAX_KEY_BYTES} are allowed")
    return key
