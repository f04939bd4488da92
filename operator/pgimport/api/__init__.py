"""The HTTP API. It writes Kubernetes objects and reads them; it keeps no state of its own."""
