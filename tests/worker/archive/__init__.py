"""Tests of pgimport.worker.archive."""
