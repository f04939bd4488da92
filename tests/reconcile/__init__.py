"""Tests of pgimport.reconcile."""
