"""Connects to the source and the shadow, starts PostgreSQL's client programs and translates their errors."""
