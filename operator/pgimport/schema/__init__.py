"""Builds the CRDs and the page of their fields from the models. Pure: `generate.py` writes the files."""
