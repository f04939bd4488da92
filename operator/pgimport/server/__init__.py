"""Databases, roles and sessions of the target servers; the only package that connects to them as admin."""
