"""Copies structure and rows into the shadow: by relay, by dump, or from a dump file."""
