"""Imports of real inputs: small forms of what databases of real applications and bug reports contain."""
