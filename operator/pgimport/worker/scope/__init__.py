"""Decides which part of a source is imported."""
