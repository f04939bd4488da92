"""Tests what the wheel, the sdist, the extras and the images contain."""
