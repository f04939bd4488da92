"""Decides, without any I/O, the next status of an object and the actions that lead to it."""
