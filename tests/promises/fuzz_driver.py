"""Run a range of fuzzed deliveries through one house; a process of its own, because a hang must be ended.

    python -m tests.promises.fuzz_driver HOME SEED FIRST LAST REPORT

Writes a line to REPORT before each case and one after it, so that whoever watches knows which case hangs or
took the process down. After the last case the whole house is examined. Must not be here: any opinion
(`fuzz_oracle`).
"""

from __future__ import annotations

import faulthandler
import os
import resource
import shutil
import sys
import time
import traceback
from pathlib import Path

from orchestration.audit.replay import replay
from orchestration.audit.verify import verify_log
from orchestration.engine.tree import remove_tree
from orchestration.errors import GlasshouseError
from orchestration.participants.enrollment import rotate_key
from orchestration.participants.invitation import open_invitation
from orchestration.scope.manifest import claimed_manifest, read_envelope
from orchestration.signing import SigningKey
from orchestration.stages import landing
from tests.prepared import invitation, package
from tests.promises import fuzz_bytes, fuzz_folder, fuzz_manifest, fuzz_rows
from tests.promises.canary_run import search
from tests.promises.contribution_fuzzer import STEM, Rules, draft, put, recipe
from tests.promises.fuzz_oracle import Oracle, contents, json_line
from tests.support import CALLER, TinyHouse, csv_bytes, make_house, open_house, people_rows

REGISTERS = (fuzz_rows, fuzz_bytes, fuzz_manifest, fuzz_folder)  # importing them is what registers
STEWARDS = ("shop.steward", "panel.steward")


def new_key(member: str) -> SigningKey:
    return SigningKey.from_seed(f"new {member}".encode().ljust(32, b"."))


def enter(home: Path) -> tuple[TinyHouse, dict[str, SigningKey]]:
    """The house, made if need be, and its stewards' former keys."""
    made = not home.exists()
    tiny = make_house(home) if made else open_house(home)
    stale = {member: tiny.keys[member] for member in STEWARDS}
    for member in STEWARDS:
        if made:
            rotation = rotate_key("tiny", member, new_key(member), "test")
            tiny.act(member, rotation.subject, rotation.payload)
        tiny.keys[member] = new_key(member)
    for participant in ("shop", "panel"):
        for left in tiny.landing(participant).iterdir():  # of a case that was killed
            _clear(left)
        (tiny.landing(participant) / "sentinel").mkdir()  # somebody's delivery, still on its way
        (tiny.landing(participant) / "sentinel" / "half.csv").write_text("household_id")
    return tiny, stale


def rules(tiny: TinyHouse, stale: dict[str, SigningKey], place: Path) -> Rules:
    """What the fuzzer needs of this house; plants what must stay as it is."""
    outside, desk = place / "outside", place / "desk"
    shutil.rmtree(outside, ignore_errors=True)  # of a process that was ended in the middle of a case
    outside.mkdir()
    (outside / "secret.csv").write_text(f"household_id,age,income\n{STEM}-outside,old,low\n")
    os.mkfifo(outside / "pipe")
    desk.mkdir(exist_ok=True)
    source = desk / "people.csv"
    source.write_bytes(csv_bytes(people_rows()))
    key = tiny.keys["panel.steward"]
    invited = open_invitation(invitation(tiny.house, "tiny", "panel.steward"), key)
    made = package(tiny.house, "tiny", "people", source, key, desk, out=desk / "out", desk=invited)
    honest = claimed_manifest(read_envelope(made)).model_dump(mode="json", exclude_none=True)
    shutil.rmtree(desk)
    manifests = {}
    for dataset in ("people", "sales"):
        said = {**tiny.claims(dataset, b"", "csv", 0), "created": honest["created"]}
        manifests[dataset] = {name: value for name, value in said.items() if value is not None}
    return Rules(tiny.keys, stale, manifests, honest["prepared"], invited.key, invited.recipient, outside)


def run_case(tiny: TinyHouse, oracle: Oracle, given: Rules, seed: int, number: int) -> dict[str, object]:
    drawn = recipe(seed, number)
    made = draft(drawn, given)
    participant = tiny.dataset(made.dataset).participant
    folder = put(made, tiny.landing(participant))
    delivered = contents(folder)
    oracle.begin()
    began, said, crash = time.monotonic(), "", None
    oracle.watching = True
    try:
        for waiting in landing.sort(tiny.house, tiny.charter, CALLER):
            if waiting.delivery == made.name:
                tiny.accept(waiting.dataset.id, waiting.delivery)
    except GlasshouseError as error:
        said = "".join(traceback.format_exception(error))
        if not error.code.startswith("contribution."):
            crash = f"{error.code}"
    except BaseException as error:  # pyrage's panics are not even exceptions
        crash = "".join(traceback.format_exception(error)[-3:])
    finally:
        oracle.watching = False
    seconds = time.monotonic() - began
    outcome = oracle.end(made, folder, delivered, said)
    if crash:
        outcome.problems.insert(0, f"crash: {crash}")
    for left in tiny.landing(participant).iterdir():
        if left.name != "sentinel":
            _clear(left)
    shutil.rmtree(given.outside / "delivery", ignore_errors=True)
    (given.outside / "would-fit").unlink(missing_ok=True)
    return {
        "case": number, "recipe": str(drawn), "names": drawn.names, "end": outcome.end,
        "problems": outcome.problems, "seconds": round(seconds, 2),
    }  # fmt: skip


def _clear(left: Path) -> None:
    left.unlink() if left.is_symlink() or not left.is_dir() else remove_tree(left)


def examine(tiny: TinyHouse) -> list[str]:
    """What must hold of the whole house at the end."""
    log, problems = tiny.house.log, []
    verified = verify_log(log, tiny.house.checkpoints, tiny.house.operator.public)
    problems += [f"the log does not verify: {each}" for each in verified.problems[:5]]
    replayed = replay(log, log.admit)
    problems += [] if replayed.ok else [f"the log does not replay: {replayed.first}"]
    accepted = {event.payload.receipt.subject for event in _events(tiny, "contribution.accepted")}  # type: ignore[attr-defined]
    kept = {path.stem for path in tiny.house.vault.folder.glob("*.parquet")}
    problems += [] if kept == accepted else [f"vault and log differ by {len(kept ^ accepted)} contributions"]
    problems += [f"left over: {path.name}" for path in tiny.root.rglob("*.partial")]
    problems += [f"left over: tmp/{path.name}" for path in (tiny.root / "tmp").iterdir()]
    for participant in ("shop", "panel"):
        if contents(tiny.landing(participant)) != {"sentinel/half.csv": b"household_id"}:
            problems.append(f"the landing folder of {participant} is another one")
    log.close()
    problems += [f"a canary is in {hit}" for hit in search([tiny.root], {"row": STEM.encode()})[:5]]
    if (peak := resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) > 2 << 20:
        problems.append(f"it took {peak >> 10} MiB of memory")
    return problems


def _events(tiny: TinyHouse, type_: str) -> list[object]:
    return [each.event for each in tiny.house.log.events(type=type_)]  # type: ignore[misc]


def main(home: Path, seed: int, first: int, last: int, report: Path) -> None:
    faulthandler.enable()
    tiny, stale = enter(home)
    given = rules(tiny, stale, home)
    oracle = Oracle(tiny, given.outside)
    with report.open("a", buffering=1) as lines:
        for number in range(first, last):
            lines.write(json_line({"case": number, "recipe": str(recipe(seed, number))}))
            lines.write(json_line(run_case(tiny, oracle, given, seed, number)))
        lines.write(json_line({"examined": examine(tiny)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:5]), Path(sys.argv[5]))
