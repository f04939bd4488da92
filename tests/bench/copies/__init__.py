"""Benchmark of the copies of a golden preview."""
