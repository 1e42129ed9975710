"""Sentences of the five sources that are false, need a hypothesis or are misprinted, each shown by construction."""
