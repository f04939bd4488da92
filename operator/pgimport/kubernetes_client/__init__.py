"""The Kubernetes API; the only package that imports the official client. It reads and writes JSON objects."""
