"""``twistd -n scalelab``: every server of the lab, each a process of its own."""

import os
import sys
from pathlib import Path
from typing import Any

from twisted.application.service import IService

from scalability.config import command_line
from scalability.lab.config import LabOptions
from scalability.lab.plan import LabPlan, Planner

SUMMARY = (
    "The whole lab, each server a process of its own. A server that dies is started again, at once if it had lived for 5 s, else after "
    "a wait that doubles from 0.1 s to 30 s; after ten such deaths in a row it stays down. One that cannot start at all ends the lab."
)

_CommandLine: Any = command_line("scalelab", LabOptions, SUMMARY)


class Options(_CommandLine):
    """The lab's own options, and a check of every table in the file."""

    plan: LabPlan

    def check(self, config: LabOptions) -> None:
        """Work out the whole lab, so that a mistake in any table is found before anything starts."""
        file = Path(self["config"]) if self["config"] else None
        self.plan = Planner(config, environ=os.environ, file=file, check_only=bool(self["check-config"])).plan()

    def print_config(self) -> None:
        sys.stdout.write(self.plan.render() + "\n")


def makeService(options: Options) -> IService:
    """The supervisor; it never carries traffic itself, so any reactor will do."""
    from twisted.internet import reactor

    from scalability.lab.service import lab_service

    return lab_service(reactor, options.plan)
