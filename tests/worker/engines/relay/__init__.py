"""Tests of pgimport.worker.engines.relay."""
