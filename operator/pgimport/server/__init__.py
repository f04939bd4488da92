"""Room 6, the target servers: the only one that talks to them as admin; databases, roles and the swap."""
