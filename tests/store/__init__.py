"""Tests of pgimport.store."""
