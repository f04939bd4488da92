"""Tests of live sources by name and over TLS."""
