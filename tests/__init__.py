"""Tests of pgimport, and the tools that they use."""
