#!/usr/bin/env python3
"""Which tests hold the servers to each HTTP rule: read from the tests' names, shown in docs/http_rules.md."""

import argparse
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

PAGE = Path("docs", "http_rules.md")

MARK = "<!-- from the tests' names: python tools/rules.py --write -->"
"""What stands below it is made by this script."""

RULE = re.compile(r"^(\d+)\. ", re.MULTILINE)
TEST = re.compile(r"^ *(?:async )?def (test_rule_(\d\d)_\w+)\(", re.MULTILINE)
LISTED = re.compile(r"`(test_rule_\d\d_\w+)`")

Tests = Mapping[int, Sequence[tuple[str, str]]]
"""By rule: the name of a test and the file that it stands in."""


def tests_of(root: Path) -> Tests:
    """The tests that are named after a rule, in the order of files and lines."""
    found: dict[int, list[tuple[str, str]]] = {}
    for path in sorted((root / "tests").rglob("test_*.py")):
        for name, number in TEST.findall(path.read_text(encoding="utf-8")):
            found.setdefault(int(number), []).append((name, path.relative_to(root).as_posix()))
    return found


def rules_of(root: Path) -> list[int]:
    """The numbers of the rules that the page states."""
    return sorted(map(int, RULE.findall(_stated(root))))


def section(rules: Sequence[int], tests: Tests) -> str:
    """The list of tests, in Markdown."""
    lines = []
    for number in rules:
        lines.append(f"- **{number}**")
        lines += [f"  - `{name}` in {path}" for name, path in tests.get(number, ())]
    return "\n".join(lines) + "\n"


def problems(root: Path) -> Iterator[str]:
    """Rules without a test, tests of no rule, and names on the page that no test has."""
    rules, tests = rules_of(root), tests_of(root)
    listed = set(LISTED.findall((root / PAGE).read_text(encoding="utf-8")))
    for number in rules:
        if number not in tests:
            yield f"rule {number} has no test"
        elif listed.isdisjoint(name for name, _ in tests[number]):
            yield f"{PAGE} lists no test of rule {number}"
    for number in sorted(tests.keys() - rules):
        yield f"{PAGE} states no rule {number}, which {tests[number][0][0]} is about"
    names = {name for found in tests.values() for name, _ in found}
    yield from (f"{PAGE} lists {name}, which is no test" for name in sorted(listed - names))


def write(root: Path) -> None:
    """Make the page's list anew."""
    (root / PAGE).write_text(f"{_stated(root)}{MARK}\n\n{section(rules_of(root), tests_of(root))}", encoding="utf-8")


def _stated(root: Path) -> str:
    return (root / PAGE).read_text(encoding="utf-8").partition(MARK)[0]


def main(arguments: Sequence[str] = ()) -> int:
    parser = argparse.ArgumentParser(description=__doc__, epilog="Exit status: 0 when all is well, 1 with a line for each problem.")
    parser.add_argument("--write", action="store_true", help=f"Make the list in {PAGE} anew.")
    if parser.parse_args(arguments).write:
        write(ROOT)
    found = list(problems(ROOT))
    for problem in found:
        print(problem)
    print(f"rules: {len(found)} problems" if found else f"rules: each of {len(rules_of(ROOT))} has its tests")
    return 1 if found else 0


if __name__ == "__main__":
    import _bootstrap

    _bootstrap.ensure("run")
    sys.exit(main(sys.argv[1:]))
