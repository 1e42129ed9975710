"""Timings that are read, never asserted: medians within one run."""
