"""Room 5, the cluster: the only one that talks to Kubernetes; gives facts as plain values, takes plain dicts."""
