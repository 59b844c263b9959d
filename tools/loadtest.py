#!/usr/bin/env python3
"""Load test: ``python3 tools/loadtest.py [--help]``; with no arguments, 50 clients of 20 requests to http://127.0.0.1:8000/data."""

import _bootstrap

_bootstrap.ensure("run")

from scalability.lab.loadgen.command import main  # noqa: E402 - the environment exists only now

raise SystemExit(main())
