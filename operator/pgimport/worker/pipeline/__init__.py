"""Runs one import, of a live source or of a dump file, step by step."""
