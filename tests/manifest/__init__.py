"""Tests of pgimport.manifest."""
