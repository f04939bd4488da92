"""The checks of a preflight: a source comes in, one verdict for each check goes out."""
