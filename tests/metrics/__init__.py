"""Tests of the operator's metrics, and of the chart's alerts and dashboard with Prometheus' own tools."""
