"""Tests of pgimport.worker.engines."""
