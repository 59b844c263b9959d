"""Metrics as Prometheus reads them, written by the Prometheus client's own encoders.

Which format is chosen by ``Accept`` as its authors do it: OpenMetrics for who asks for it, else the text format.
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from prometheus_client.core import Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, choose_encoder, generate_latest
from prometheus_client.registry import Collector

_PROMETHEUS_TYPES = re.compile(r"text/plain\s*;[^,]*\bversion\s*=|application/openmetrics-text", re.IGNORECASE)


class Exposition(NamedTuple):
    """What ``/metrics`` answers."""

    content_type: str
    body: bytes


def asks_for_prometheus(accept: str) -> bool:
    """True for the ``Accept`` of a Prometheus server: ``application/openmetrics-text``, or ``text/plain`` with a ``version``.

    Also for ``text/plain`` of somebody who does not name JSON. A browser or curl, which would take anything, is not one.
    """
    if _PROMETHEUS_TYPES.search(accept) is not None:
        return True
    named = accept.lower()
    return "text/plain" in named and "application/json" not in named


def exposition(collectors: Sequence[Collector], accept: str = "") -> Exposition:
    """What all ``collectors`` tell, in the format that ``accept`` (the field's value, or "") prefers."""
    try:
        encode, content_type = choose_encoder(accept)
    except (ValueError, TypeError):
        # a version that is no number: the client library does not catch it
        encode, content_type = generate_latest, CONTENT_TYPE_PLAIN_0_0_4
    return Exposition(content_type, encode(_All(collectors)))


class _All(Collector):
    """Stands in for a registry, which would add a lock and a second table of names."""

    def __init__(self, collectors: Sequence[Collector]) -> None:
        self._collectors = collectors

    def collect(self) -> Iterator[Metric]:
        for collector in self._collectors:
            yield from collector.collect()
