"""Compares pgimport with other ways to copy a database: seconds, CPU, memory and disk, on generated databases."""
