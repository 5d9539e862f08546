"""A request on an already refreshed room, against a bare `dbt build` of its model on the same room.

- `house`: submit, then cells, protected table and insight through the Dagster job, in process: the charter's
  decision, receipts, dbt in a process of its own, column lineage, output control, finding, charts, passport,
  log. Not in the time: what a waiting daemon or command has behind it, imports and building the definitions
  (reported as `before_seconds`). dbt's own start is in the time, on both sides.
- `bare`: `dbt build --select MODEL --vars …` as somebody types it, in the same project, with dbt's default
  flags and a target folder kept from one call to the next, into a cells table of the same room; no unit
  tests, which the house does not run either. With other variables than last time dbt parses the project
  again; the house keeps its parse, which does not depend on them.

Each pair asks another question, because the house answers a question only once. Both read the room that the
demo left, with the rows of all four organizations.
"""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.demo import refreshed_house
from benchmarks.measure import Comparison, Sample, in_turns, report_side, run_side, scratch

TARGET = 2.0
_COLLABORATION = "grocery"
_AGENCY, _RETAILER = "brand_agency.analyst", "retailer.analyst"
_QUESTIONS: tuple[tuple[str, str, str, dict[str, str]], ...] = (
    ("audience_overlap", "collaboration_planning", _AGENCY, {"left": "mailed", "right": "redeemers"}),
    ("joint_segmentation", "customer_insight", _RETAILER, {"rows": "income", "columns": "none"}),
    ("campaign_response", "campaign_effectiveness", _AGENCY, {"by": "campaign"}),
    ("audience_overlap", "collaboration_planning", _AGENCY, {"left": "profiled", "right": "mailed"}),
    ("joint_segmentation", "customer_insight", _RETAILER, {"rows": "age", "columns": "home_ownership"}),
    ("audience_overlap", "collaboration_planning", _AGENCY, {"left": "shoppers", "right": "redeemers"}),
    ("joint_segmentation", "customer_insight", _RETAILER, {"rows": "household_size", "columns": "age"}),
)


def compare(pairs: int) -> Comparison:
    """One comparison; not more pairs than there are questions."""
    pairs = min(pairs, len(_QUESTIONS) - 1)
    with refreshed_house() as home, scratch() as target:
        _side("bare", home, target, len(_QUESTIONS) - 1)  # so that dbt's target folder is not new
        house, bare = partial(_side, "house", home, target), partial(_side, "bare", home, target)
        ours, theirs = in_turns(pairs, house, bare)
    return Comparison("A request, end to end, vs a bare dbt build of its model", ours, theirs, TARGET)


def _side(name: str, home: Path, target: Path, pair: int) -> Sample:
    return run_side("request", name, str(pair), str(target), home=home)


# --- the sides, each in its own process


def _house(question: int) -> None:
    from orchestration.cli.trial import trial_keys
    from orchestration.defs.local import LocalRuns
    from orchestration.house import OPERATOR, House
    from orchestration.output import charts  # noqa: F401  # a waiting daemon has loaded it
    from orchestration.settings import load_settings, silence_telemetry
    from orchestration.stages import founding, request
    from orchestration.stages.recorder import Caller

    silence_telemetry()
    template, purpose, member, parameters = _QUESTIONS[question]
    house = House.open(load_settings())
    charter = house.charter(_COLLABORATION)
    keys = trial_keys(house, charter)
    asked: list[str] = []
    with LocalRuns(house, Caller(OPERATOR, "Benchmark.")) as runs:

        def answer() -> None:
            submitted, decision, pending = request.submit(
                house,
                charter,
                template=template,
                parameters=parameters,
                purpose=purpose,
                requester=member,
                justification="Benchmark.",
                key=keys[member],
            )
            decision.require()
            if pending:
                founding.approve(house, charter.collaboration, submitted.id, keys)
            asked.append(submitted.id)
            runs.answer(charter, template, submitted.id)

        def details() -> dict[str, Any]:
            if request.release_of(house, asked[0]) is None:
                raise SystemExit("the request was not answered")
            return {"template": template}

        report_side(answer, details=details)


def _bare(question: int, target: Path) -> None:
    from orchestration.computation.runner import room_environment
    from orchestration.computation.template import load_templates
    from orchestration.house import House
    from orchestration.settings import load_settings

    settings = load_settings()
    template, _, _, parameters = _QUESTIONS[question]
    model = load_templates()[template].model
    with House.opened(settings) as house:
        room = house.room(_COLLABORATION)
        environment = room_environment(settings, room.path, room.key)
    project = str(settings.dbt_project)
    variables = json.dumps({"request_id": f"bench-{question}", "parameters": parameters})
    command = [str(Path(sys.executable).parent / "dbt"), "build", "--select", model, "--vars", variables]
    command += ["--exclude-resource-type", "unit_test", "--project-dir", project, "--profiles-dir", project]
    command += ["--target-path", str(target), "--log-path", str(target)]

    def build() -> None:
        quiet = subprocess.DEVNULL
        subprocess.run(command, env=environment, check=True, stdin=quiet, stdout=quiet)

    report_side(build, details=lambda: {"template": template})


if __name__ == "__main__":
    _, side, pair, folder = sys.argv
    if side == "house":
        _house(int(pair))
    else:
        _bare(int(pair), Path(folder))
