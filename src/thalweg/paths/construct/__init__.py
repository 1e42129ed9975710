"""Paths from theorems: every segment moves the last layer alone, or units that nothing reads."""
