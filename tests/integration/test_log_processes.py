"""The log under many writers at once, and under writers that die: on SQLite and on PostgreSQL."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from orchestration.audit.log import AuditLog
from orchestration.audit.replay import replay
from orchestration.audit.verify import verify_log
from orchestration.settings import PROJECT_ROOT
from tests.postgres import both_databases

WRITERS, ROUNDS = 16, 12
DRIVER = [sys.executable, "-m", "tests.integration.log_driver"]


@both_databases
def test_sixteen_processes_append_at_once(control_url: str, tmp_path: Path) -> None:
    """No event lost, doubled or put before another of the same process; every table equal to a replay."""
    writers = [
        subprocess.Popen(
            [*DRIVER, "write", control_url, f"w{number}", str(ROUNDS)],
            cwd=PROJECT_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(WRITERS)
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    outputs = []
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        outputs.append(writer.communicate(timeout=200)[0])
        assert writer.returncode == 0
    told = [json.loads(output) for output in outputs]
    with AuditLog(control_url) as log:
        stored = [(each.seq, each.receipt_id, each.event.subject) for each in log.events()]
        assert [seq for seq, _, _ in stored] == list(range(WRITERS * ROUNDS * 3))
        assert sorted(tuple(entry) for entries in told for entry in entries) == stored
        for entries in told:
            assert [seq for seq, _, _ in entries] == sorted(seq for seq, _, _ in entries)
            for first, second in zip(entries[1::3], entries[2::3], strict=True):
                assert second[0] == first[0] + 1, "what was appended together stands together"
        together = any(
            entries[-1][0] > other[0][0] for entries in told for other in told if other is not entries
        )
        assert together, "the writers ran one after the other, which proves nothing"
        assert replay(log).ok
        verify_log(log, tmp_path / "checkpoints", {}).require()


@both_databases
def test_a_writer_killed_between_any_two_statements(control_url: str) -> None:
    done = subprocess.run(
        [*DRIVER, "kill", control_url], cwd=PROJECT_ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    # Fewer points than this would mean that the driver no longer sees the statements.
    assert int(done.stdout) >= 12
