"""Fault injector: lets every part of an import fail, at every point where it can, and checks that promises are kept."""
