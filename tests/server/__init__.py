"""Tests of pgimport.server."""
