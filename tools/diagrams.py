#!/usr/bin/env python3
"""State diagrams in docs/states.md, drawn by Mermaid from the very tables that the code runs on: ``python3 tools/diagrams.py --write``."""

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from pathlib import Path
from typing import NamedTuple

import _bootstrap

if __name__ == "__main__":
    _bootstrap.ensure("run")

from scalability.upstream import breaker, health

ROOT = Path(__file__).resolve().parent.parent

PAGE = Path("docs", "states.md")

HEAD = """# States

How the balancer's machines change their states. This page is made from their tables in the code: `python3 tools/diagrams.py --write`.
"""


class Edge(NamedTuple):
    """What leads from a state to another, or to the same; ``before`` is None for a beginning."""

    before: Enum | None
    after: Enum
    event: str


def of_health() -> Iterator[Edge]:
    """``upstream.health``: where the length of a run of equal results decides, there are two edges."""
    yield Edge(None, health.State.UNCHECKED, "configured")
    yield Edge(None, health.State.WAITING, "discovered later")
    for (before, passed), (short, long) in health.TRANSITIONS.items():
        event = "passed check" if passed else "failed check"
        yield Edge(before, short, event)
        if long is not short:
            yield Edge(before, long, f"{event}, the {'rise' if passed else 'fall'}-th in a row")


def of_breaker() -> Iterator[Edge]:
    """``upstream.breaker``."""
    yield Edge(None, breaker.State.CLOSED, "")
    for (before, event), after in breaker.TRANSITIONS.items():
        yield Edge(before, after, event.value)


def mermaid(edges: Iterable[Edge], taking_traffic: Iterable[Enum]) -> str:
    """A state diagram; the states of ``taking_traffic`` say so."""
    edges = list(edges)
    taking = set(taking_traffic)
    states = dict.fromkeys(state for edge in edges for state in (edge.before, edge.after) if state is not None)
    lines = ["stateDiagram-v2"]
    lines += [f'    state "{state.value}{" (takes traffic)" if state in taking else ""}" as {state.name}' for state in states]
    for before, after, event in edges:
        lines.append(f"    {before.name if before else '[*]'} --> {after.name}{f' : {event}' if event else ''}")
    return "\n".join(lines)


def page() -> str:
    """The whole page."""
    drawn = (
        (
            "Health of a server",
            "scalability/upstream/health.py",
            "A server whose health is `rising` takes traffic while there is no other.",
            mermaid(of_health(), (state for state in health.State if state.usable)),
        ),
        (
            "Circuit breaker of a server",
            "scalability/upstream/breaker.py",
            "A breaker that is `half-open` lets a few trial requests through.",
            mermaid(of_breaker(), (breaker.State.CLOSED,)),
        ),
    )
    return HEAD + "".join(
        f"\n## {title}\n\nThe table is `TRANSITIONS` in `{module}`. {remark}\n\n```mermaid\n{diagram}\n```\n"
        for title, module, remark, diagram in drawn
    )


def outdated(root: Path) -> bool:
    """Whether the page there is not what the tables say."""
    path = root / PAGE
    return not path.is_file() or path.read_text(encoding="utf-8") != page()


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, epilog="Exit status: 0 when the page is up to date, else 1.")
    parser.add_argument("--write", action="store_true", help=f"Make {PAGE} anew.")
    if parser.parse_args(arguments).write:
        (ROOT / PAGE).write_text(page(), encoding="utf-8")
    if outdated(ROOT):
        print(f"diagrams: {PAGE} is outdated: python3 tools/diagrams.py --write")
        return 1
    print(f"diagrams: {PAGE} is up to date")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
