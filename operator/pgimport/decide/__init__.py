"""Room 2, pure: what was seen, the time and the policy in; the whole wanted status and the actions out."""
