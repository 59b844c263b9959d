"""What a route in code says of itself, for the API's description: ``@described`` under ``@app.route``."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

ATTRIBUTE: Final = "described"
"""What ``described`` sets on a route, and Klein copies to its endpoint."""

Route = TypeVar("Route", bound=Callable[..., Any])


@dataclass(frozen=True)
class Answered:
    """One answer: what it means, and the JSON that it has (a msgspec type), or its media ``types`` where it is something else."""

    meaning: str
    body: Any = None
    types: tuple[str, ...] = ()


@dataclass(frozen=True)
class Description:
    """``summary`` is one line. ``body`` is the JSON that the request has; ``secured``: keys and tokens that are configured are needed here.

    ``parameters`` explains what stands in the path, and ``examples`` has a value for each.
    """

    summary: str
    text: str = ""
    answers: Mapping[int, Answered] = field(default_factory=dict)
    body: Any = None
    secured: bool = False
    parameters: Mapping[str, str] = field(default_factory=dict)
    examples: Mapping[str, str] = field(default_factory=dict)


def described(summary: str, **more: Any) -> Callable[[Route], Route]:
    """Describe a route; ``more`` are the members of ``Description``."""
    description = Description(summary, **more)

    def decorate(route: Route) -> Route:
        setattr(route, ATTRIBUTE, description)
        return route

    return decorate


def description_of(endpoint: Any) -> Description | None:
    """What the route behind a Klein endpoint says of itself."""
    found = getattr(endpoint, ATTRIBUTE, None)
    return found if isinstance(found, Description) else None
