"""Running dbt: what it is told, the environment it gets, and what we believe of its outcome.

One process per invocation, so that the room's key is in the environment of that process alone and the room
file is surely closed afterwards. (dbt inside our own process answers a second request in 0.9 s instead of
5 s, but keeps the room attached and reads its key from our environment.) Nothing dbt writes is kept: no log,
no compiled SQL, no results; what it says about errors quotes values and never arrives here.

Must not be here: whether a request may run (`request`), reading cells (`cells`). Whoever calls holds the
room's writer's place (`Room.reserved`) meanwhile.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pydantic import JsonValue

from orchestration.computation.request import Request
from orchestration.computation.template import Template
from orchestration.digests import digest_file, digest_json
from orchestration.engine.files import write_durably
from orchestration.errors import (
    STORAGE_FULL,
    GlasshouseError,
    QualityGateError,
    Reason,
    ServiceError,
)
from orchestration.settings import Settings, child_environment

MODEL_FAILED = Reason(
    "transform.model_failed",
    "The transform {node} did not build; the tables it replaces are unchanged.",
    "Rerun the step; if it fails again, what was admitted to the room does not fit this model.",
)
TEST_FAILED = Reason(
    "transform.test_failed",
    "What was built in the room does not pass the test {node}.",
    "Look at the datasets this test is about; a corrected contribution replaces the wrong one.",
)
NOT_STARTED = Reason(
    "transform.not_started",
    "The process of dbt ended before it built anything.",
    "Check that the installation is complete (`uv sync`) and that the project compiles (`make test`).",
)
NOTHING_SELECTED = Reason(
    "transform.nothing_selected",
    "The selection {selection} names nothing to build.",
    "Use names of models, or folders such as `staging`.",
)

REFRESH = ("staging", "intermediate")
"""The selection that turns admitted entities into what the cells models read."""

_FAILED = ("error", "fail", "runtime error")
_CHILD = "orchestration.computation.child"
_PARSED, _STAMP = "manifest.msgpack", "manifest.digest"


@dataclass(frozen=True)
class NodeResult:
    """How one node ended. `sql` is what a model ran, for its column lineage; it holds no value and no key."""

    name: str
    kind: str
    status: str
    seconds: float
    sql: str | None = None


@dataclass(frozen=True)
class DbtResult:
    """A successful run: every node, and the rows of each table it built."""

    nodes: tuple[NodeResult, ...]
    rows: Mapping[str, int]


def build(
    settings: Settings,
    room_path: Path,
    room_key: str,
    select: Sequence[str] = REFRESH,
    variables: Mapping[str, JsonValue] | None = None,
    *,
    unit_tests: bool = False,
) -> DbtResult:
    """Build and test the selected models in a room.

    Args:
        select: dbt selectors of our own, never text of a request.
        variables: values from closed sets, checked before; see `request_variables`.
        unit_tests: also run dbt's unit tests, which look at SQL and not at data.

    Raises:
        ServiceError: `transform.model_failed`, `transform.not_started`, `transform.nothing_selected`,
            `storage.full`.
        QualityGateError: `transform.test_failed`.
    """
    command = ["build", "--select", *select, "--vars", json.dumps(dict(variables or {}))]
    if not unit_tests:
        command += ["--exclude-resource-type", "unit_test"]
    with _target(settings) as target:
        environment = room_environment(settings, room_path, room_key)
        facts = _invoke(settings, target, environment, "--no-write-json", *command)
    nodes = tuple(NodeResult(**each) for each in facts["nodes"])
    failure = _failure(facts, nodes)
    if failure is not None:
        raise failure
    if not any(node.kind == "model" for node in nodes):
        raise ServiceError(NOTHING_SELECTED, selection=" ".join(select))
    return DbtResult(nodes, facts["rows"])


def build_cells(
    settings: Settings, room_path: Path, room_key: str, template: Template, request: Request
) -> DbtResult:
    """Build the cells of one permitted request, over what the last refresh left; errors as for `build`."""
    variables = request_variables(template, request)
    return build(settings, room_path, room_key, [template.model], variables)


def request_variables(template: Template, request: Request) -> dict[str, JsonValue]:
    """The dbt variables of a request that `check_request` permitted."""
    return {"request_id": request.id, "parameters": dict(template.resolve(request.parameters))}


def room_environment(settings: Settings, room_path: Path, room_key: str) -> dict[str, str]:
    """The environment of one dbt process. Of ours it gets no secret, no setting and none of dbt's switches.

    A stray `DBT_EMPTY` or `DBT_DEFER` would change what is computed, `DBT_LOG_LEVEL_FILE` what is written.
    """
    scratch = settings.root / "tmp"
    scratch.mkdir(parents=True, exist_ok=True, mode=0o700)
    return _clean_environment() | {
        "GLASSHOUSE_ROOM": str(room_path.resolve()),
        "GLASSHOUSE_ROOM_SCRATCH": str(scratch),
        "GLASSHOUSE_ROOM_MEMORY": settings.duckdb_memory,
        "GLASSHOUSE_ROOM_THREADS": str(settings.duckdb_threads or ""),
        # dbt scrubs the values of variables with this prefix from whatever it logs.
        "DBT_ENV_SECRET_ROOM_KEY": room_key,
    }


def prepare_manifest(settings: Settings) -> Path:
    """The dbt manifest that Dagster reads, parsed anew only when the project's files changed.

    Kept beside it in dbt's own form, so that later invocations need not parse.

    Raises: ServiceError (`transform.not_started`) when the project does not parse.
    """
    manifest = settings.dbt_target / "manifest.json"
    if _stored_parse(settings) is not None and manifest.is_file():
        return manifest
    digest = _project_digest(settings.dbt_project)
    stamp = settings.dbt_target / _STAMP
    with _target(settings) as target:
        facts = _invoke(settings, target, _clean_environment(), "parse")
        if not facts["success"]:
            raise ServiceError(NOT_STARTED)
        stamp.unlink(missing_ok=True)
        os.replace(target / "manifest.json", manifest)
        os.replace(target / "partial_parse.msgpack", settings.dbt_target / _PARSED)
    write_durably(stamp, _stamp(settings.dbt_target / _PARSED, digest).encode())
    return manifest


def _stored_parse(settings: Settings) -> Path | None:
    """dbt's own form of the manifest, if it was made from the project's files as they are now."""
    parsed, stamp = settings.dbt_target / _PARSED, settings.dbt_target / _STAMP
    try:
        current = stamp.read_text(encoding="utf-8") == _stamp(parsed, _project_digest(settings.dbt_project))
    except OSError:
        return None
    return parsed if current else None


def _stamp(parsed: Path, project_digest: str) -> str:
    """What ties the stored parse, whose SQL is what runs, to the project's files."""
    return digest_json([project_digest, digest_file(parsed)])


def _invoke(settings: Settings, target: Path, environment: dict[str, str], *command: str) -> dict[str, Any]:
    """Run dbt in a child process; what it prints is thrown away, its report is all that counts."""
    report = target / "report.json"
    parsed = _stored_parse(settings)
    project = str(settings.dbt_project)
    arguments = ["--quiet", "--no-partial-parse", "--no-send-anonymous-usage-stats", *command]
    arguments += ["--project-dir", project, "--profiles-dir", project]
    arguments += ["--target-path", str(target), "--log-path", str(target), "--log-level-file", "none"]
    with subprocess.Popen(  # noqa: S603  # our own module, our own arguments
        [sys.executable, "-m", _CHILD, str(report), str(parsed or "-"), *arguments],
        env=environment,
        cwd=target,
        stdin=subprocess.PIPE,  # stays open while we live; see child.py
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            process.wait()
        except BaseException:
            process.kill()
            raise
    if not report.is_file():
        return {"success": False, "storage_full": False, "nodes": [], "rows": {}}
    facts: dict[str, Any] = json.loads(report.read_bytes())
    return facts


def _failure(facts: Mapping[str, Any], nodes: Sequence[NodeResult]) -> GlasshouseError | None:
    """The first node that failed, or that dbt failed as a whole; None only for a plain success."""
    if facts["storage_full"]:
        return ServiceError(STORAGE_FULL)
    for node in nodes:
        if node.status in _FAILED:
            if node.kind in ("test", "unit_test"):
                return QualityGateError(TEST_FAILED, node=node.name)
            return ServiceError(MODEL_FAILED, node=node.name)
    return None if facts["success"] else ServiceError(NOT_STARTED)


@contextmanager
def _target(settings: Settings) -> Iterator[Path]:
    """A folder of its own for one invocation, gone afterwards: two never meet, and nothing stays."""
    settings.dbt_target.mkdir(parents=True, exist_ok=True, mode=0o700)
    with TemporaryDirectory(prefix="run-", dir=settings.dbt_target) as folder:
        yield Path(folder)


def _clean_environment() -> dict[str, str]:
    strange = ("DBT_", "GLASSHOUSE_", "OPENLINEAGE_")
    return {name: value for name, value in child_environment().items() if not name.startswith(strange)}


def _project_digest(project: Path) -> str:
    files = sorted(path for path in project.rglob("*") if path.suffix in (".sql", ".yml"))
    digests: dict[str, JsonValue] = {
        path.relative_to(project).as_posix(): digest_file(path) for path in files
    }
    return digest_json({"files": digests, "dbt": version("dbt-core"), "adapter": version("dbt-duckdb")})
