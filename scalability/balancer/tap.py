"""The command line of scalelab-lb."""

from typing import Any

from twisted.application.service import IService

from scalability.balancer.config import BalancerOptions
from scalability.config import command_line

_CommandLine: Any = command_line(
    "scalelab-lb",
    BalancerOptions,
    "Load balancer: a streaming HTTP/1.1 reverse proxy. SIGHUP has it read all of its configuration again and take in what has changed.",
)


class Options(_CommandLine):
    """The flags, and a look at the files that they name."""

    config: BalancerOptions

    def check(self, config: BalancerOptions) -> None:
        config.check_files()


def makeService(options: Options) -> IService:
    """Called by twistd with the parsed command line."""
    from scalability.net.reactor import install

    reactor = install()  # before anything imports Klein, and with it the global reactor

    from scalability.balancer.service import balancer
    from scalability.lifecycle.garbage import RareCollections

    service = balancer(reactor, options.config, options.reread)
    RareCollections().setServiceParent(service)
    return service
