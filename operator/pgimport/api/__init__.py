"""Door B, the HTTP API: calls come in, resources are written and read; nothing is kept here."""
