"""Metrics of the operator, and what the operator and the API need to serve metrics to Prometheus."""
