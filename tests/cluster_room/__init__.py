"""Tests of pgimport.cluster."""
