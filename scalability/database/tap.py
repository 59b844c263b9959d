"""The command line of ``scalelab-database``."""

from twisted.application.service import IService

from scalability.config import CommandLine, command_line
from scalability.database.config import DatabaseOptions

Options = command_line("scalelab-database", DatabaseOptions, "Database service: records over HTTP, kept in SQLite.")


def makeService(options: CommandLine[DatabaseOptions]) -> IService:
    """Called by twistd with the parsed command line."""
    from scalability.net.reactor import install

    reactor = install()  # before anything imports Klein, and with it the global reactor

    from scalability.database.service import database_service

    return database_service(reactor, options.config)
