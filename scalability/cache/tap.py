"""``twistd -n scalelab-cache``."""

from twisted.application.service import IService

from scalability.cache.config import CacheOptions
from scalability.config import CommandLine, command_line

Options = command_line("scalelab-cache", CacheOptions, "Cache server: bounded entries that expire.")


def makeService(options: CommandLine[CacheOptions]) -> IService:
    """The service that twistd runs."""
    from scalability.net.reactor import install

    reactor = install()
    from scalability.cache.service import cache_service

    return cache_service(reactor, options.config)
