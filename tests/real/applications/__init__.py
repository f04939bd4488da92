"""Databases of real applications, made from their own packages, with generated rows."""
