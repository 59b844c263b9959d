"""``twistd -n scalelab-cache``."""

from typing import Any

from twisted.application.service import IService

from scalability.cache.config import CacheOptions
from scalability.config import command_line

_CommandLine: Any = command_line("scalelab-cache", CacheOptions, "Cache server: bounded entries that expire, over HTTP and RESP.")


class Options(_CommandLine):
    """The flags, and a look at the files that they name."""

    config: CacheOptions

    def check(self, config: CacheOptions) -> None:
        config.check_files()


def makeService(options: Options) -> IService:
    """The service that twistd runs."""
    from scalability.net.reactor import install

    reactor = install()
    from scalability.cache.service import cache_service
    from scalability.lifecycle.garbage import BESIDE_MUCH_MEMORY, RareCollections

    service = cache_service(reactor, options.config)
    RareCollections(BESIDE_MUCH_MEMORY).setServiceParent(service)
    return service
