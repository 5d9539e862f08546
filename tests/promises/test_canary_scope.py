"""The canary promise on the ways of data scope: desk, refusals, letters, techniques, withdrawals, exports.

Belongs here: those paths, good and failing, without Dagster or dbt (`test_canary.py` runs these). Every raw
identifier is a canary; whatever a house, a desk, a command or a log leaves behind is searched for it.
"""

from __future__ import annotations

import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from orchestration.audit.vocabulary import now
from orchestration.audit.withdrawal_events import ContributionWithdrawn
from orchestration.errors import GlasshouseError
from orchestration.stages import governance
from orchestration.stages.repseudonymizing import rotate_pseudonyms
from orchestration.stages.withdrawal import apply_due
from tests.integration.command import Result, glasshouse
from tests.promises.canary_run import decrypted_vault, everything_said, search
from tests.support import CHARTER, COLLABORATION, TinyHouse, csv_bytes, make_house

STEM = "zqxwv7k3jh9f2m"
"""Every raw identifier begins with it; no word, digest or key of a house does."""
MAIL = f"{STEM}@leak.example"
FORMATS = ("csv", "tsv", "ndjson")
TECHNIQUES = """
  - id: contacts
    participant: panel
    entity: profile
    title: Contacts
    description: One row per household, known by an e-mail address.
    classification: personal
    purposes: [insight]
    lawful_basis: consent
    license: {id: LicenseRef-test, terms: Test only, redistribution: false}
    max_rows: 1000
    max_bytes: 100000
    deidentify: in_room
    fields:
      - {name: mail, as: unit, type: string, required: true, max_length: 80,
         classification: direct_identifier,
         technique: {kind: pseudonymize, domain: household}}
      - {name: city, as: region, type: string, max_length: 60,
         classification: quasi_identifier, technique: {kind: mask, keep_first: 1}}
      - {name: job, as: occupation, type: string, max_length: 80,
         classification: behavioural, technique: pass}
"""
CHARTER_TEXT = CHARTER.replace("\npurposes:\n", f"{TECHNIQUES}purposes:\n", 1)


def person(number: int) -> str:
    return f"{STEM}{number:04d}"


def people(count: int, start: int = 0) -> list[dict[str, object]]:
    ages, incomes = ("young", "middle", "old"), ("low", "high")
    return [
        {"household_id": person(start + n), "age": ages[n % 3], "income": incomes[n % 2]}
        for n in range(count)
    ]


def as_format(rows: list[dict[str, object]], format_: str) -> bytes:
    text = csv_bytes(rows)
    if format_ == "tsv":
        return text.replace(b",", b"\t")
    if format_ == "ndjson":
        names = list(rows[0])
        return "".join(
            "{" + ", ".join(f'"{name}": "{row[name]}"' for name in names) + "}\n" for row in rows
        ).encode()
    return text


@dataclass
class Ways:
    """The house after all of it; `searched`: every folder anything may have been left in."""

    tiny: TinyHouse
    searched: tuple[Path, ...]
    codes: dict[str, str] = field(default_factory=dict)
    ended: dict[str, int] = field(default_factory=dict)
    contributions: dict[str, str] = field(default_factory=dict)


@pytest.fixture(scope="module")
def ways(tmp_path_factory: pytest.TempPathFactory) -> Ways:
    place = tmp_path_factory.mktemp("scope")
    folders = {name: place / "around" / name for name in ("tmp", "user", "work", "said", "given")}
    for folder in folders.values():
        folder.mkdir(parents=True)
    raw = place / "raw"  # the steward's own files: raw they are, and not searched
    raw.mkdir()
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setenv("GLASSHOUSE_HOME", str(place / "home" / "house"))
        patch.setenv("GLASSHOUSE_CHARTERS", str(place / "home" / "charters"))
        patch.setenv("GLASSHOUSE_DUCKDB_THREADS", "1")
        patch.setenv("HOME", str(folders["user"]))
        patch.setenv("TMPDIR", str(folders["tmp"]))
        patch.setattr(tempfile, "tempdir", str(folders["tmp"]))
        patch.chdir(folders["work"])
        stack.enter_context(everything_said(folders["said"]))
        tiny = make_house(place / "home", charter=CHARTER_TEXT)
        stack.callback(tiny.house.log.close)
        for member in ("panel.steward", "shop.steward"):
            tiny.key(member).save(tiny.house.member_keys / COLLABORATION / f"{member}.pem")
        made = Ways(tiny, (tiny.root, *folders.values()))
        _desk(made, raw, folders["given"])
        _raw_formats(made)
        _refusals(made)
        _techniques(made)
        _withdrawals(made, raw)
        _listings(made, raw)
        _the_end(made)
    return made


def run(ways: Ways, name: str, *arguments: object) -> Result:
    """A command as a person runs it; what it says is kept and searched too."""
    ended = glasshouse(*arguments)
    ways.ended[name] = ended.code
    sys.stdout.write(ended.out + ended.err)
    return ended


def _desk(ways: Ways, raw: Path, given: Path) -> None:
    """`glasshouse prepare`: preview, package, rows left out; and each way it ends badly."""
    run(ways, "invite", "room", "invite", "--for", "panel.steward", "--json")
    for format_ in FORMATS:
        (raw / f"people.{format_}").write_bytes(as_format(people(120), format_))
    bad = {"household_id": person(900), "age": person(900), "income": "low"}
    (raw / "rejected.csv").write_bytes(csv_bytes([*people(120), bad]))
    (raw / "twice.csv").write_bytes(csv_bytes(people(1) * 2))
    (raw / "broken.csv").write_bytes(csv_bytes(people(9)) + f'"{person(9)}"x,young,"low\n'.encode())
    (raw / "none.csv").write_bytes(csv_bytes([bad]))
    (raw / "column.csv").write_bytes(f"{person(1)},{person(2)}\n{person(3)},old\n".encode())
    (raw / "broken.ndjson").write_bytes(f'{{"household_id": "{person(1)}", "age": '.encode())
    common = ("--dataset", "people", "--as", "panel.steward", "--provenance", "Survey")
    common += ("--from", "2024-01-01", "--until", "2024-12-31")
    common += ("--invitation", "panel.steward.invitation.json")
    common += ("--key", ways.tiny.house.member_keys / COLLABORATION / "panel.steward.pem")
    for name in sorted(path.name for path in raw.iterdir()):
        for how in (("--dry-run",), ("--dry-run", "--json"), ("--yes", "--json", "--out", given / name)):
            arguments = [each for each in common if each not in ("--as", "panel.steward")]
            run(ways, f"prepare {name} {how[0]}", "prepare", raw / name, *arguments, *how)


def _raw_formats(ways: Ways) -> None:
    """Deliveries that come raw, with rows that fit and rows that do not."""
    bad = {"household_id": person(900), "age": person(900), "income": "low"}
    for number, format_ in enumerate(FORMATS):
        rows = [*people(120, 1000 + 200 * number), bad]
        data = as_format(rows, format_)
        name = ways.tiny.deliver("people", data, rows=121, format_=format_, format=format_)
        ways.contributions[format_] = accept(ways, "people", name, format_)


def accept(ways: Ways, dataset: str, delivery: str, name: str) -> str:
    """Stages 1 to 3, as far as they go; the contribution."""
    contribution = ""
    try:
        logged = ways.tiny.accept(dataset, delivery)
        contribution = logged.event.payload.receipt.subject  # type: ignore[attr-defined]
        ways.tiny.deidentify(dataset, contribution)
        ways.codes[name] = "passed" if ways.tiny.gate(dataset, contribution).passed else "gate failed"
    except GlasshouseError as error:
        ways.codes[name] = error.code
        sys.stdout.write(str(error))
    return contribution


def _refusals(ways: Ways) -> None:
    """Refused whole: sealed. Accepted and stopped at the gate: a letter. Both are given back."""
    tiny = ways.tiny
    broken = csv_bytes(people(9)) + f'"{person(9)}"x,young,"low\n'.encode()
    for name, data, options in (
        ("broken", broken, {"rows": 10}),
        ("digest", csv_bytes(people(5)), {"sha256": f"sha256:{'0' * 64}"}),
        ("half", as_format(people(5), "ndjson")[:-20], {"rows": 5, "format_": "ndjson", "format": "ndjson"}),
        ("manifest", csv_bytes(people(5)), {"envelope": person(5).encode()}),
        ("twice", csv_bytes([*people(120, 300), *people(20, 300)]), {}),
    ):
        ways.contributions[name] = accept(ways, "people", tiny.deliver("people", data, **options), name)  # type: ignore[arg-type]
    sealed = [each.sealed for each in tiny.payloads("contribution.refused")]  # type: ignore[attr-defined]
    corrected = tiny.deliver("people", csv_bytes(people(120, 400)), supersedes=sealed[0])
    ways.contributions["corrected"] = accept(ways, "people", corrected, "corrected")
    newer = csv_bytes(people(130, 400))
    delivery = tiny.deliver("people", newer, supersedes=ways.contributions["corrected"])
    ways.contributions["newer"] = accept(ways, "people", delivery, "newer")
    for contribution in filter(None, ways.contributions.values()):
        run(ways, f"show {contribution}", "contribution", "show", contribution)
        own = ("--as", "panel.steward", "--json")
        run(ways, f"letter {contribution}", "contribution", "show", contribution, *own)
    other = ("contribution", "unseal", sealed[0], "--as", "shop.steward", "--out", "not-mine")
    run(ways, "unseal of another", *other)


def _techniques(ways: Ways) -> None:
    """Identifiers in free text, and values that a technique masks."""
    rows: list[dict[str, object]] = [
        {"mail": f"{person(n)}@leak.example", "city": f"{STEM}ville", "job": "clerk"} for n in range(120)
    ]
    accept(ways, "contacts", ways.tiny.deliver("contacts", csv_bytes(rows)), "contacts")
    leaking = [{**row, "job": MAIL} for row in rows]
    delivery = ways.tiny.deliver("contacts", csv_bytes(leaking))
    ways.contributions["leaking"] = accept(ways, "contacts", delivery, "leaking")


def _withdrawals(ways: Ways, raw: Path) -> None:
    """Lists of people are raw where the steward keeps them, and nowhere in the house."""
    key = ("--as", "panel.steward", "--why", "They asked.")
    (raw / "leave.csv").write_text("\n".join(["household_id", *(person(400 + n) for n in range(7))]))
    (raw / "unknown.csv").write_text("\n".join([person(1), person(2)]))
    (raw / "torn.csv").write_text(f'household_id\n"{person(1)}"x\n"{person(2)}\n')
    (raw / "nobody.csv").write_text("household_id\n")
    for name in ("unknown.csv", "torn.csv", "nobody.csv", "leave.csv"):
        run(ways, f"withdraw {name}", "withdraw", "people", raw / name, "--dataset", "people", *key)
    foreign = ("--as", "shop.steward", "--why", "Not mine.")
    run(ways, "withdraw foreign", "withdraw", "people", raw / "leave.csv", "--dataset", "people", *foreign)
    apply_due(ways.tiny.house, COLLABORATION)
    again = ways.tiny.deliver("people", csv_bytes(people(140, 400)))
    ways.contributions["again"] = accept(ways, "people", again, "again")
    name = ways.contributions["tsv"]
    payload = ContributionWithdrawn(contribution=name, dataset="people", reason="error")
    ways.tiny.act("panel.steward", name, payload)


def _listings(ways: Ways, raw: Path) -> None:
    """Whatever describes the data, or goes out of the house about it."""
    for command in (
        ("status",), ("contribution", "list"), ("withdraw", "list"), ("audit", "log", "--limit", "999"),
        ("catalog", "list"), ("catalog", "show", "people"), ("catalog", "timeline", "people"),
        ("catalog", "record"), ("catalog", "search", "people"), ("lineage", "export"), ("keyring", "status"),
        ("report", "council"),
    ):  # fmt: skip
        run(ways, " ".join(command), *command)
        run(ways, f"{' '.join(command)} --json", *command, "--json")
    for kind in ("odcs", "odrl"):
        run(ways, f"export {kind}", "catalog", "export", "people", f"--{kind}")
    run(ways, "scan", "scan", raw, "--json")
    charter = ways.tiny.house.settings.charters / "tiny.yaml"
    for name, file in (("anonymity", "people.csv"), ("anonymity broken", "broken.csv")):
        run(ways, name, "anonymity", raw / file, "--dataset", "people", "--charter", charter)
    nothing = ("contribute", raw / "nothing.csv", "--dataset", "people", "--provenance", "Survey")
    run(ways, "contribute nothing", *nothing)


def _the_end(ways: Ways) -> None:
    """The room's pseudonyms anew; then everything's days are over."""
    rotate_pseudonyms(ways.tiny.house, COLLABORATION, "Test.")
    ways.tiny.house.log.clock = lambda: now() + timedelta(days=31)
    governance.settle(ways.tiny.house, COLLABORATION)
    run(ways, "destruction list", "destruction", "list", "--json")
    (gone, *_) = ways.tiny.house.log.events("data.destroyed")
    run(ways, "certificate", "destruction", "certificate", gone.seq, "--out", "gone.json")


def test_every_way_was_taken(ways: Ways) -> None:
    """The search means something only if the ways were really taken, to their good and bad ends."""
    assert {ways.codes[format_] for format_ in FORMATS} == {"passed"}
    assert {name: ways.codes[name] for name in ("broken", "digest", "half", "manifest", "twice")} == {
        "broken": "contribution.malformed",
        "digest": "contribution.wrong_digest",
        "half": "contribution.malformed",
        "manifest": "contribution.no_manifest",
        "twice": "gate failed",
    }
    assert (ways.codes["corrected"], ways.codes["newer"], ways.codes["again"]) == ("passed",) * 3
    assert (ways.codes["contacts"], ways.codes["leaking"]) == ("passed", "gate failed")
    assert ways.tiny.payloads("withdrawal.applied")
    assert ways.tiny.payloads("pseudonyms.rotated")
    wanted = {
        "invite", "prepare people.csv --yes", "prepare people.tsv --yes", "prepare people.ndjson --yes",
        "prepare rejected.csv --yes", "prepare rejected.csv --dry-run", "withdraw leave.csv",
        "export odcs", "export odrl", "anonymity", "certificate", "status", "catalog record",
        "report council", "destruction list", "keyring status", "lineage export",
    }  # fmt: skip
    assert {name for name, code in ways.ended.items() if code == 0} >= wanted
    failed = {
        "prepare twice.csv --yes", "prepare broken.csv --yes", "prepare none.csv --yes",
        "prepare column.csv --yes", "prepare broken.ndjson --yes", "withdraw unknown.csv",
        "withdraw torn.csv", "withdraw nobody.csv", "withdraw foreign", "unseal of another",
        "anonymity broken", "contribute nothing",
    }  # fmt: skip
    assert {name for name, code in ways.ended.items() if code} >= failed


def test_no_raw_identifier_is_anywhere(ways: Ways) -> None:
    needles = {"identifier": STEM.encode(), "upper": STEM.upper().encode()}
    assert search(ways.searched, needles) == []


def test_they_did_go_in(ways: Ways) -> None:
    """Encrypted, in the vault; and sealed for their steward, until its days are over."""
    assert STEM.encode() in decrypted_vault(ways.tiny)
