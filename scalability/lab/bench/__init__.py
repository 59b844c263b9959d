"""Benchmarks as ratios: two programs in one run on one machine, taken in turns."""
