"""Tests of pgimport.api."""
