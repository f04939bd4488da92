"""Tests of imports of dump files."""
