"""Dagster's entry: the definitions of every charter this house serves, and nothing else."""

from orchestration.defs.build import build_defs

defs = build_defs()
