"""``twistd -n scalelab-cache``."""

from twisted.application.service import IService

from scalability.cache.config import CacheOptions
from scalability.cache.snapshot_file import check_place
from scalability.config import CommandLine, command_line

_Flags: type[CommandLine[CacheOptions]] = command_line("scalelab-cache", CacheOptions, "Cache server: bounded entries that expire.")


class Options(_Flags):  # type: ignore[valid-type,misc]  # made by a function
    """The command line."""

    def check(self, config: CacheOptions) -> None:
        """Look whether the snapshot has a place."""
        if config.snapshot is not None:
            check_place(config.snapshot)


def makeService(options: CommandLine[CacheOptions]) -> IService:
    """The service that twistd runs."""
    from scalability.net.reactor import install

    reactor = install()
    from scalability.cache.service import cache_service
    from scalability.lifecycle.garbage import BESIDE_MUCH_MEMORY, RareCollections

    service = cache_service(reactor, options.config)
    RareCollections(BESIDE_MUCH_MEMORY).setServiceParent(service)
    return service
