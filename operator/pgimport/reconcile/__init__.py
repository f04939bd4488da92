"""Room 7, the loop: a key in; see, decide, act; when to look again out."""
