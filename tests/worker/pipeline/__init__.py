"""Tests of pgimport.worker.pipeline."""
