"""The worker: the program in the pod of an import's Job. It copies one source into the shadow and writes the result."""
