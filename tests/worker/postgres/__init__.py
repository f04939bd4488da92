"""Tests of pgimport.worker.postgres."""
