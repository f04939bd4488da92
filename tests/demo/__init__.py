"""A source with real data, one import of it, one that fails, and what to try next: what `make demo` runs."""
