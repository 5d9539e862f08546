"""A process killed at any point of a stage: a rerun finishes it, nothing is doubled, lost or left behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from orchestration.settings import PROJECT_ROOT
from tests.integration.stages_to_run import STAGES
from tests.support import make_house

# Fewer points than this would mean that the driver no longer sees what the stage does.
FEWEST = {"intake": 10, "refusal": 15, "deidentified": 2, "gate": 2, "release": 8}


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_killed_at_any_point(stage: str, tmp_path: Path) -> None:
    house = make_house(tmp_path / "home")
    subject = STAGES[stage][0](house)
    house.house.log.close()
    command = [sys.executable, "-m", "tests.integration.kill_driver"]
    arguments = [str(tmp_path / "home"), stage, subject, str(tmp_path / "work")]
    (tmp_path / "work").mkdir()
    done = subprocess.run(
        [*command, *arguments], cwd=PROJECT_ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert int(done.stdout) >= FEWEST[stage]
