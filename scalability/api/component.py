"""What every server of the suite is made of: its parts, its admin listener, its listener, in this order."""

import os
from collections.abc import Sequence
from typing import Any

from klein import Klein
from prometheus_client.registry import Collector
from twisted.application.service import IService
from twisted.internet.interfaces import IProtocolFactory

from scalability.api.admin import Readiness, Refresh, admin_app
from scalability.api.mount import mount
from scalability.config import ServerOptions
from scalability.lifecycle import OrderedService, ParentWatch
from scalability.lifecycle.open_files import raise_open_files
from scalability.lifecycle.parent import wanted
from scalability.net.listen import Listener
from scalability.telemetry import LoopLag, MetricSet, process_collectors


def component_service(
    reactor: Any,
    options: ServerOptions,
    *,
    who: str,
    factory: IProtocolFactory | None = None,
    parts: Sequence[IService] = (),
    collectors: Sequence[Collector] = (),
    ready: Readiness = lambda: None,
    admin: Klein | None = None,
    grace_s: float = 30.0,
    further: Sequence[Listener] = (),
    front: IService | None = None,
    before_metrics: Refresh | None = None,
) -> OrderedService:
    """The service that twistd runs for a component.

    ``parts`` (stores, pools, tickers) start before the listeners and stop after them, last added first.
    ``factory`` serves ``options.listen``; ``admin`` gets /metrics, /healthz and /readyz added and is served on
    ``options.admin`` where that is set. ``/metrics`` shows ``collectors``, what ``mount`` counted for ``factory``, and
    the process. ``who`` is the plugin's name, for messages. ``grace_s`` is how long requests in flight may take at the end.
    ``further`` listeners lead to ``factory`` too.

    ``front`` stands in the place of ``factory`` and its listener where requests are not served by this process;
    ``before_metrics`` is awaited before ``/metrics`` is answered.
    """
    raise_open_files()
    root = OrderedService()
    if wanted(os.environ):
        ParentWatch(reactor, reactor).setServiceParent(root)
    for part in parts:
        part.setServiceParent(root)
    if options.admin is not None:
        own = MetricSet()
        LoopLag(reactor, own).setServiceParent(root)
        counted = getattr(factory, "metrics", None)
        shown = [
            *collectors,
            *([counted] if isinstance(counted, MetricSet) and counted not in collectors else []),
            own,
            *process_collectors(),
        ]
        admin_factory = mount(admin_app(shown, ready, admin, before_metrics), reactor=reactor)
        Listener(reactor, options.admin, admin_factory, who=f"{who} admin", flag="--admin", grace_s=1.0).setServiceParent(root)
    if front is None:
        assert factory is not None
        front = Listener(reactor, options.listen, factory, who=who, grace_s=grace_s)
    front.setServiceParent(root)
    # opened last, so closed first: then the main listener drains what all of them share
    for listener in further:
        listener.setServiceParent(root)
    return root
