"""Runs the preflight: queries a source, then judges the rows by one pure function for each check."""
