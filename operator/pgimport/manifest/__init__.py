"""Builds the manifests of Kubernetes objects: Jobs, Secrets, roles, events and cloning imports. Pure."""
