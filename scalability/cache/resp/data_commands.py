"""All commands that read and change entries. PURE."""

from scalability.cache.resp import counters, expiry, keys, objects, scanning, strings

FAMILIES = (
    strings.FAMILY,
    counters.FAMILY,
    keys.FAMILY,
    keys.SERVER_FAMILY,
    expiry.FAMILY,
    scanning.FAMILY,
    objects.OBJECT_FAMILY,
    objects.MEMORY_FAMILY,
)
"""For the server's table of commands."""
