"""Parses pg_dump's archives and decides what of them is restored. Pure."""
