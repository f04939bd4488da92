"""Completes a copy after its rows: sequence values, statistics, materialised views, and spec.postImport."""
