"""Tests of pgimport.cli."""
