"""Copies a live source through pg_dump, the scratch volume and pg_restore."""
