"""Room 6b, object storage: the only one that signs, reads and deletes uploads."""
