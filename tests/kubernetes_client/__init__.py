"""Tests of pgimport.kubernetes_client."""
