#!/usr/bin/env python3
"""Make the lock files from setup.cfg: ``python3 tools/lock.py [--upgrade]``. Needs ``uv`` on the PATH.

Without ``--upgrade`` the versions that are locked stay, as far as setup.cfg lets them. The lock of each further level is
made with the first one as a constraint, so that an environment can be completed without changing what it has.
"""

import argparse
import shutil
import subprocess
import sys
from collections.abc import Sequence

import _bootstrap

COMPILE = ["uv", "pip", "compile", "--quiet", "--universal", "--generate-hashes", "--no-annotate", "--python-version", "3.11"]


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="Make the lock files from setup.cfg, with uv.")
    parser.add_argument(
        "--upgrade", action="store_true", help="take the newest versions that setup.cfg lets in, instead of keeping those locked"
    )
    upgrade = ["--upgrade"] if parser.parse_args(arguments).upgrade else []
    if shutil.which("uv") is None:
        print("lock: uv is not on the PATH; see https://docs.astral.sh/uv/", file=sys.stderr)
        return 1
    for level, lock in _bootstrap.LOCKS.items():
        command = [*COMPILE, "--custom-compile-command", "python3 tools/lock.py", *upgrade, "setup.cfg", "-o", lock]
        if level != "run":
            command += ["--extra", level, "-c", _bootstrap.LOCKS["run"]]
        status = subprocess.run(command, check=False, cwd=_bootstrap.ROOT).returncode
        if status:
            return status
    return 0


if __name__ == "__main__":
    _bootstrap.ensure("run")
    raise SystemExit(main(sys.argv[1:]))
