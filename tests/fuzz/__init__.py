"""Fuzzes the parser of source URLs: an accepted URL must lead to the checked address only."""
