"""What the gateway asks of a look-aside cache: values are JSON text, keys are text.

JSON's null is a value like others: it says that there is nothing, where a missing key says that nobody knows.
"""

from typing import NamedTuple, Protocol


class Kept(NamedTuple):
    """A value, and the seconds that it will still be kept for; None where the cache does not tell, ``inf``: until it is changed."""

    value: bytes
    remaining_s: float | None


class LookAsideCache(Protocol):
    """Each call fails with a ScalelabError when the cache cannot be asked."""

    async def get(self, key: str) -> Kept | None:
        """What is kept for ``key``, or None."""

    async def set(self, key: str, value: bytes, ttl_s: float) -> None:
        """Keep the JSON text ``value`` for ``ttl_s`` seconds."""

    async def claim(self, key: str, ttl_s: float) -> bool:
        """Have ``key`` for ``ttl_s`` seconds, if nobody has it; whether it is ours now. All who share the cache see the same."""

    async def delete(self, key: str) -> None:
        """Keep nothing for ``key``, whatever it was."""
