"""Figures, each with the machine that they were made on: ``python -m benchmarks [NAME] [--json]``."""
