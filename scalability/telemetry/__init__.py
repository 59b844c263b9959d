"""Counters, histograms, exposition and the access log: what a process tells of itself."""

from scalability.telemetry.access_log import AccessEntry, AccessLog
from scalability.telemetry.exposition import Exposition, asks_for_prometheus, exposition
from scalability.telemetry.histogram import BOUNDARIES_S, Histogram
from scalability.telemetry.http_metrics import HTTPServerMetrics
from scalability.telemetry.metrics import Counter, Family, Gauge, Kind, MetricSet
from scalability.telemetry.process import LoopLag, process_collectors

__all__ = [
    "BOUNDARIES_S",
    "AccessEntry",
    "AccessLog",
    "Counter",
    "Exposition",
    "Family",
    "Gauge",
    "HTTPServerMetrics",
    "Histogram",
    "Kind",
    "LoopLag",
    "MetricSet",
    "asks_for_prometheus",
    "exposition",
    "process_collectors",
]
