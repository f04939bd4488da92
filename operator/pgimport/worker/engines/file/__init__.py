"""A dump file as a source: bytes come in over HTTPS, a verified copy in the shadow goes out."""
