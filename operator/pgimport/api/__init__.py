"""Door B, the REST shim: HTTP calls in, resources written and read."""
