"""Tests of pgimport.worker.scope."""
