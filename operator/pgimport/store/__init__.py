"""Stores for uploaded dump files. Only this package talks to object storage."""
