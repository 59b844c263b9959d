#!/usr/bin/env python3
"""Make the lock files from setup.cfg: ``python3 tools/lock.py [--upgrade]``. Needs ``uv`` on the PATH.

Without ``--upgrade`` the versions that are locked stay, as far as setup.cfg lets them. The lock of each further level is
made with the first one as a constraint, so that an environment can be completed without changing what it has.
"""

import subprocess
import sys

import _bootstrap

COMPILE = ["uv", "pip", "compile", "--quiet", "--universal", "--generate-hashes", "--no-annotate", "--python-version", "3.11"]


def main() -> int:
    for level, lock in _bootstrap.LOCKS.items():
        command = [*COMPILE, "--custom-compile-command", "python3 tools/lock.py", *sys.argv[1:], "setup.cfg", "-o", lock]
        if level != "run":
            command += ["--extra", level, "-c", _bootstrap.LOCKS["run"]]
        status = subprocess.run(command, check=False, cwd=_bootstrap.ROOT).returncode
        if status:
            return status
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
