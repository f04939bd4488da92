"""Compares the copy with its source."""
