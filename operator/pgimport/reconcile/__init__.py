"""Reconciles objects: observes the cluster and the target servers, lets `decide` decide, and carries it out."""
