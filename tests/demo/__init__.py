"""`make demo`: starts a source with real data, imports it, shows an import that fails, and says what to try next."""
