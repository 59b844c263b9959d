"""How the lab starts a server: ``python -m scalability.lab.child scalelab-cache ...`` is ``twistd -n scalelab-cache ...``.

It is twistd itself, with two differences. The process leads a session of its own, so that a Ctrl-C in the terminal
reaches the lab alone, which then stops its children in their order. And twistd is told our plugins instead of
looking for plugins in every folder of the path: that look costs 0.1 s of CPU, and the lab starts seven servers at once.
"""

import contextlib
import os
from collections.abc import Iterable
from typing import Any

from twisted.application import app
from twisted.application.service import IServiceMaker
from twisted.scripts._twistd_unix import ServerOptions
from twisted.scripts.twistd import runApp

LOGGER = "scalability.lab.child_log.observer"


def service_makers(_interface: object = IServiceMaker) -> Iterable[Any]:
    """Our plugins, as ``twisted.plugin.getPlugins`` would find them."""
    from twisted.plugins import scalelab

    return [value for value in vars(scalelab).values() if IServiceMaker.providedBy(value)]


class ChildOptions(ServerOptions):
    """twistd's own options, given its plugins."""

    _getPlugins: Any = staticmethod(service_makers)  # noqa: N815 - Twisted's name


def main() -> None:
    with contextlib.suppress(PermissionError):  # it leads a process group already
        os.setsid()
    app.run(runApp, ChildOptions)


if __name__ == "__main__":
    main()
