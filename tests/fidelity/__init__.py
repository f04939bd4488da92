"""The fidelity matrix: what an import copies, for every pair of source and target."""
