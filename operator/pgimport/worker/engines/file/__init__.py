"""Reads dump files over HTTPS and restores them into the shadow."""
