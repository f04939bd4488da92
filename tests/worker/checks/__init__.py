"""Tests of pgimport.worker.checks."""
