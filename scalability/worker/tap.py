"""The command line of ``scalelab-worker``."""

from twisted.application.service import IService

from scalability.config import CommandLine, command_line
from scalability.worker.config import WorkerOptions


class Options(command_line("scalelab-worker", WorkerOptions, "Task worker: a durable queue and its runner.")):  # type: ignore[misc]  # a class made at run time
    """``--check-config`` imports the modules of ``--tasks`` too."""

    def check(self, config: WorkerOptions) -> None:
        # otherwise makeService does: a module of the user's may import the global reactor, which must not be before ours is chosen
        if self["check-config"]:
            from scalability.worker.tasks import load_tasks

            load_tasks(config.tasks)


def makeService(options: CommandLine[WorkerOptions]) -> IService:
    """Called by twistd with the parsed command line."""
    from scalability.net.reactor import install

    reactor = install()  # before anything imports Klein, and with it the global reactor

    from scalability.worker.service import worker_service

    return worker_service(reactor, options.config)
