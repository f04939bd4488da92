"""Creates the objects of an archive over the worker's own sessions. pg_restore restores only rows."""
