"""End-to-end tests against the cluster of `make up`."""
