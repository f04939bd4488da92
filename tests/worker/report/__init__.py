"""Tests of pgimport.worker.report."""
