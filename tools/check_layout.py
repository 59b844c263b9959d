#!/usr/bin/env python3
"""What no other checker looks at.

Every module has its mirrored test, no module has a name that says nothing, no path of a machine is in the tree.
"""

import argparse
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

SAYS_NOTHING = {"util", "utils", "helper", "helpers", "manager", "managers", "misc"}
"""A folder is a room named for what its users call the thing (docs/architecture.md)."""

MACHINE_PATH = re.compile(rb"(?<![\w.$}>-])/(?:root|work|home/[a-z_][\w-]*|Users/\w+)/[\w.]")
"""An absolute path into somebody's own folders."""

TEST = re.compile(r"^\s*(?:async )?def test_", re.MULTILINE)


def modules(root: Path, package: str = "scalability") -> Iterator[Path]:
    """The modules of ``package``, relative to ``root``; an ``__init__`` has nothing that its modules' tests would not meet."""
    for path in sorted((root / package).rglob("*.py")):
        if path.name != "__init__.py":
            yield path.relative_to(root)


def mirrored(root: Path) -> Iterator[str]:
    """Modules without ``tests/<room>/test_<module>.py``, or whose file there has no test."""
    for module in modules(root):
        test = Path("tests", *module.parts[1:-1], f"test_{module.name.lstrip('_')}")
        if not (root / test).is_file():
            yield f"{module} has no {test}"
        elif not TEST.search((root / test).read_text()):
            yield f"{test} has no test in it"


def names(paths: Iterable[Path]) -> Iterator[str]:
    """Modules and folders of Python code whose name says nothing."""
    for path in paths:
        if path.suffix == ".py":
            for part in (*path.parts[:-1], path.stem):
                if part.lower() in SAYS_NOTHING:
                    yield f"{path}: {part!r} says nothing about what is in it"


def machine_paths(root: Path, paths: Iterable[Path]) -> Iterator[str]:
    """Lines that hold a path of the machine they were written on."""
    here = str(root).encode() + b"/" if len(root.parts) > 2 else None
    for path in paths:
        try:
            lines = (root / path).read_bytes().splitlines()
        except OSError:  # removed, not yet committed
            continue
        for number, line in enumerate(lines, 1):
            if MACHINE_PATH.search(line) or (here is not None and here in line):
                yield f"{path}:{number}: a path of a machine: {line.strip().decode(errors='replace')[:120]}"


def tree(root: Path) -> list[Path]:
    """The files that git has or would take; every file outside of hidden folders where there is no git."""
    listed = subprocess.run(["git", "ls-files", "-z", "-co", "--exclude-standard"], check=False, cwd=root, capture_output=True)
    if listed.returncode == 0:
        return sorted(Path(name) for name in set(listed.stdout.decode().split("\0")) if name)
    found = (path.relative_to(root) for path in root.rglob("*") if path.is_file())
    return sorted(path for path in found if not any(part.startswith(".") or part == "__pycache__" for part in path.parts))


def problems(root: Path) -> list[str]:
    """Everything that is wrong with the layout of ``root``, a line each."""
    paths = tree(root)
    return [*mirrored(root), *names(paths), *machine_paths(root, paths)]


def main(arguments: Sequence[str] = ()) -> int:
    argparse.ArgumentParser(description=__doc__, epilog="Exit status: 0 when all is well, 1 with a line for each problem.").parse_args(
        arguments
    )
    found = problems(ROOT)
    for problem in found:
        print(problem)
    print(f"layout: {len(found)} problems" if found else "layout: fine")
    return 1 if found else 0


if __name__ == "__main__":
    import _bootstrap

    _bootstrap.ensure("run")
    sys.exit(main(sys.argv[1:]))
