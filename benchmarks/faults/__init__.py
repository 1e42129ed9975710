"""Faults that are injected into studies in progress, and what comes of them."""
