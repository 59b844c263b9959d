#!/usr/bin/env python3
"""Make an API key: ``python3 tools/apikey.py NAME``; ``--help`` says more."""

import _bootstrap

_bootstrap.ensure("run")

from scalability.gateway.access.new_key import main  # noqa: E402 - the environment exists only now

raise SystemExit(main())
