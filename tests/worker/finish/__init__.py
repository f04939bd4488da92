"""Tests of pgimport.worker.finish."""
