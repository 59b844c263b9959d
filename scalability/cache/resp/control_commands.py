"""All commands that do not read or change entries. PURE."""

from scalability.cache.resp import (
    client_commands,
    config_commands,
    connection_commands,
    info,
    introspection,
    server_commands,
    snapshot_commands,
    transactions,
)

FAMILIES = (
    connection_commands.FAMILY,
    client_commands.FAMILY,
    transactions.FAMILY,
    config_commands.FAMILY,
    info.FAMILY,
    introspection.FAMILY,
    server_commands.FAMILY,
    snapshot_commands.FAMILY,
)
"""For the server's table of commands."""
