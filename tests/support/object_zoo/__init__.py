"""The object zoo: a database that holds one of every kind of object, and a reader that compares two copies of it."""
