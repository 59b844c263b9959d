#!/usr/bin/env python3
"""Look at a running balancer, and change it: ``python3 tools/lbctl.py show servers``; ``--help`` lists the verbs."""

import _bootstrap

_bootstrap.ensure("run")

from scalability.balancer.control import main  # noqa: E402 - the environment exists only now

raise SystemExit(main())
