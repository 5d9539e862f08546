"""Dagster's own home under ours: its configuration, and opening it from a command.

The configuration is written anew each time, so a house never runs with an old one.
"""

from __future__ import annotations

from pathlib import Path

import dagster as dg

from orchestration.engine.files import write_durably
from orchestration.settings import Settings

_CONFIGURATION = """\
# Written by Glasshouse; changes here are lost.
telemetry:
  enabled: false
nux:
  enabled: false

# Runs that never start, or never end their cancelling; see defs/liveness.py for killed ones.
run_monitoring:
  enabled: true
  start_timeout_seconds: 180
  poll_interval_seconds: 15

# Steps that write a vault or a room take turns by file locks, which the kernel frees when a process dies;
# a slot of Dagster's pools stays taken by a killed run.
concurrency:
  runs:
    max_concurrent_runs: 2

# What a step prints is not kept: engines quote values in their complaints.
compute_logs:
  module: dagster._core.storage.noop_compute_log_manager
  class: NoOpComputeLogManager
"""


def configure(settings: Settings) -> Path:
    """Write Dagster's configuration; returns its home folder."""
    home = settings.dagster_home
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = home / "dagster.yaml"
    if not path.exists() or path.read_text() != _CONFIGURATION:
        write_durably(path, _CONFIGURATION.encode())
    return home


def open_instance(settings: Settings) -> dg.DagsterInstance:
    """The instance that UI and daemon of this house use too."""
    return dg.DagsterInstance.from_config(str(configure(settings)))
