"""The command line of scalelab-microservice."""

from twisted.application.service import IService

from scalability.config import CommandLine, command_line
from scalability.microservice.config import MicroserviceOptions

Options = command_line("scalelab-microservice", MicroserviceOptions, "Business microservice: work with a known cost.")


def makeService(options: CommandLine[MicroserviceOptions]) -> IService:
    """Called by twistd with the parsed command line."""
    from scalability.net.reactor import install

    reactor = install()  # before anything imports Klein, and with it the global reactor

    from scalability.microservice.service import microservice

    return microservice(reactor, options.config)
