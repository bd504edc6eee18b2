"""Shipped benchmarks: the product beside the least that could do the same work, measured in one run."""

from router.bench.run import run_benchmarks

__all__ = ["run_benchmarks"]
