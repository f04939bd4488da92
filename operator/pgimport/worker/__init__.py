"""Runs inside the pod of an import's Job: checks the source, copies it into the shadow and verifies the copy."""
