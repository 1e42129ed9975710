"""A network as steps that run for many points at once; see :mod:`thalweg.core.stacked.program`."""
