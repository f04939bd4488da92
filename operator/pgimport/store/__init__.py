"""Room 6b, the store: the only one that talks to object storage; keys come in, signed URLs and sizes go out."""
