#!/usr/bin/env python3
"""Benchmarks as ratios: ``python3 tools/bench.py [BENCHMARK ...]``; ``--help`` says which there are and what each compares."""

import _bootstrap

_bootstrap.ensure("bench")

from scalability.lab.bench.command import main  # noqa: E402 - the environment exists only now

raise SystemExit(main())
