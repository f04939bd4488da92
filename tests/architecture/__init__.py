"""Tests of the rules that all packages follow."""
