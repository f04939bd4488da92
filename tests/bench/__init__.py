"""Benchmark on the cluster of `make up`: `python -m tests.bench` writes report.md and report.json."""
