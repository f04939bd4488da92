"""Completes a copy after its rows: sequence values, statistics, materialised views, the user's own SQL."""
