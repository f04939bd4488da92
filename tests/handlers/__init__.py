"""Tests of pgimport.handlers."""
