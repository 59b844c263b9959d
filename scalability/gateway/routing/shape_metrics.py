"""What the gateway tells Prometheus of its routes' validation, compression and composition. Labels are prefixes of the configuration."""

from collections.abc import Callable, Mapping

from scalability.gateway.openapi.checkers import Checkers
from scalability.gateway.routing.shaping import Shape
from scalability.telemetry import Kind, MetricSet

ROUTE = ("route",)


def shape_metrics(shapes: Mapping[str, Shape]) -> MetricSet:
    """Of all routes, by their prefix; a route without a feature has no figures of it."""
    metrics = MetricSet()

    def numbers(name: str, help: str, kind: Kind, read: Callable[[Shape], int | None]) -> None:  # noqa: A002 - Prometheus's word
        metrics.readings_from(
            name,
            help,
            kind,
            ROUTE,
            lambda: (((route,), value) for route, shape in shapes.items() if (value := read(shape)) is not None),
        )

    def counter(name: str, help: str, read: Callable[[Shape], int | None]) -> None:  # noqa: A002
        numbers(name, help, Kind.COUNTER, read)

    counter("scalelab_validation_refused_total", "Requests that their description does not have.", _refused)
    numbers("scalelab_validation_held_bytes", "Bytes of bodies that wait to be checked.", Kind.GAUGE, _held_bytes)
    counter("scalelab_compression_encoded_total", "Answers that were sent in a content coding.", _encoded)
    counter("scalelab_compression_passed_over_total", "Answers that were not, as too many others were being encoded.", _passed_over)
    numbers("scalelab_compression_running", "Answers that are being encoded now.", Kind.GAUGE, _encoding)
    counter("scalelab_composition_complete_total", "Composed answers with all their parts.", _complete)
    counter("scalelab_composition_incomplete_total", "Composed answers without a part that may be missing.", _incomplete)
    counter("scalelab_composition_failed_total", "Requests for which a required part failed.", _failed)
    numbers("scalelab_composition_running", "Answers that are being composed now.", Kind.GAUGE, _composing)
    return metrics


def add_checkers(metrics: MetricSet, checkers: Checkers) -> None:
    """The processes that check large bodies, of all routes together."""
    metrics.gauge_from("scalelab_validation_waiting", "Large bodies that wait for a process that checks them.", lambda: checkers.waiting)
    metrics.counter_from("scalelab_validation_given_up_total", "Large bodies that took too long to check.", lambda: checkers.given_up)


def _refused(shape: Shape) -> int | None:
    return shape.validating.refused if shape.validating is not None else None


def _held_bytes(shape: Shape) -> int | None:
    return shape.validating.held_bytes if shape.validating is not None else None


def _encoded(shape: Shape) -> int | None:
    return shape.compression.encoded if shape.compression is not None else None


def _passed_over(shape: Shape) -> int | None:
    return shape.compression.passed_over if shape.compression is not None else None


def _encoding(shape: Shape) -> int | None:
    return shape.compression.at_once if shape.compression is not None else None


def _complete(shape: Shape) -> int | None:
    return shape.composing.composed if shape.composing is not None else None


def _incomplete(shape: Shape) -> int | None:
    return shape.composing.incomplete if shape.composing is not None else None


def _failed(shape: Shape) -> int | None:
    return shape.composing.failed if shape.composing is not None else None


def _composing(shape: Shape) -> int | None:
    return shape.composing.at_once if shape.composing is not None else None
