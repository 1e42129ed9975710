"""Segments on which F has a closed form: found by watching one forward pass, solved without sampling."""
