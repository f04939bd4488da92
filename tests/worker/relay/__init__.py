"""Tests of pgimport.worker.relay."""
