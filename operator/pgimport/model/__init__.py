"""Room 1, the words: what users ask, what they see, and what the parts of the system tell each other."""
