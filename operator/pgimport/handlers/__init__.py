"""Door A, kopf: events in, keys out."""
