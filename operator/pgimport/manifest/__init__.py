"""Room 3, pure: model → dict. What we ask Kubernetes to make."""
