"""Room 2, pure: what was observed, the time and the policy in; the whole wanted status and the actions out."""
