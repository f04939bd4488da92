"""Entry point of the operator: kopf watches the cluster and puts the keys of changed objects into the work queue."""
