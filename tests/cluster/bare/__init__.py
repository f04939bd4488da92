"""The `bare` provider: real Kubernetes programs as plain processes of this host; see `machine`."""
