"""Tests of pgimport.model."""
