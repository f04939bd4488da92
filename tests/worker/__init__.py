"""Tests of pgimport.worker."""
