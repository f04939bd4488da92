"""Tests of pgimport.decide."""
