"""Fakes, in-memory pumps and conformance suites; only tests import it."""
