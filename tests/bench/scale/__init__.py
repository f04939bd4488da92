"""Benchmark of an operator with thousands of imports."""
