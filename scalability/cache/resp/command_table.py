"""All commands of the server, by their names. PURE."""

from scalability.cache.resp import control_commands, data_commands
from scalability.cache.resp.commands import table

COMMANDS = table((*data_commands.FAMILIES, *control_commands.FAMILIES))
