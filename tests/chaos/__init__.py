"""Faults, systematically: what may go wrong goes wrong, at every point where it may, and the promises hold."""
