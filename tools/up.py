#!/usr/bin/env python3
"""Set up this checkout and start the whole lab: ``python3 tools/up.py [flags of scalelab]``.

The flags go to ``twistd -n scalelab`` (``--gateways 3``, ``--help``); Ctrl-C or SIGTERM stops everything.
"""

import os
import sys

import _bootstrap

environment = _bootstrap.Environment()
if not environment.ready("run"):
    environment.make("run")
# exec: the lab has this process's id, terminal and signals
os.execv(environment.python, [str(environment.python), _bootstrap.script("twistd"), "-n", "scalelab", *sys.argv[1:]])
