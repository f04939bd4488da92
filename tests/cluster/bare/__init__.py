"""The bare cluster: real Kubernetes programs as plain processes of this host. See README.md."""
