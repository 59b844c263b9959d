#!/usr/bin/env python3
"""The diagram of a server's health states in docs/balancing.md, made from the table that the balancer decides by."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

PAGE = Path("docs", "balancing.md")

BEGIN = "<!-- from upstream/health.py: python tools/health_states.py --write -->\n"
END = "<!-- end -->"
"""What stands between the two is made by this script."""


def diagram() -> str:
    """The transitions that change the state, in Mermaid's language."""
    from scalability.upstream.health import TRANSITIONS

    lines = [
        "```mermaid",
        "stateDiagram-v2",
        "    [*] --> unchecked: configured",
        "    [*] --> waiting: discovered, or configured as mandatory",
    ]
    for (state, passed), (short, long) in TRANSITIONS.items():
        what, limit = ("passed", "rise") if passed else ("failed", "fall")
        ends = {short: what} if short is long else {short: what, long: f"the {limit}-th {what} in a row"}
        lines += [f"    {state.value} --> {end.value}: {why}" for end, why in ends.items() if end is not state]
    return "\n".join([*lines, "```", ""])


def with_diagram(page: str) -> str:
    """``page`` with the diagram as it should be. Raises ValueError when it has no place for one."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{PAGE} has no lines {BEGIN.strip()} and {END}")
    return f"{before}{BEGIN}{diagram()}{END}{after}"


def main(arguments: Sequence[str] = ()) -> int:
    parser = argparse.ArgumentParser(description=__doc__, epilog="Exit status: 0 when the page shows what holds, else 1.")
    parser.add_argument("--write", action="store_true", help=f"Make the diagram in {PAGE} anew.")
    write = parser.parse_args(arguments).write
    file = ROOT / PAGE
    page = file.read_text(encoding="utf-8")
    wanted = with_diagram(page)
    if write:
        file.write_text(wanted, encoding="utf-8")
    elif page != wanted:
        print(f"{PAGE} shows other transitions than hold: python tools/health_states.py --write")
        return 1
    return 0


if __name__ == "__main__":
    import _bootstrap

    _bootstrap.ensure("run")
    sys.path.insert(0, str(ROOT))
    sys.exit(main(sys.argv[1:]))
