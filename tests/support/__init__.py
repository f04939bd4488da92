"""What tests of several packages share; knows nothing of the cluster."""
