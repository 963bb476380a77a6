"""Measurements, never assertions: `make bench`, or `python -m tests.bench NAME` for one of them.

Figures on a shared machine drift, so what counts are ratios of runs that took turns. A bench is a module here with
`run()`, which prints its tables with `tests.bench.paired`.
"""
