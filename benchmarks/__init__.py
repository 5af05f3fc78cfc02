"""Figures for ``docs/benchmarks.md``: each beside its peer, measured in the same run."""
