"""Runs the preflight: queries a source, then judges the results with one pure function per check."""
