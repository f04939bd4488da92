"""Tests of the NetworkPolicy of import pods with the controller of a network plugin."""
