"""Reports progress and log lines as JSON on standard output."""
