"""Tests of pgimport.schema."""
