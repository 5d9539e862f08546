"""The `glasshouse` command as people and programs use it, on a small house: every verb, its two outputs, its
exit codes, its width."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from orchestration.computation.runner import prepare_manifest
from orchestration.engine.files import write_durably
from orchestration.settings import PROJECT_ROOT, load_settings
from tests.integration.command import Result, glasshouse
from tests.integration.conftest import copy_manifest
from tests.support import CHARTER, csv_bytes, people_rows, product_rows, sales_rows

WHY = ("--why", "To see it work.")


@dataclass
class Session:
    """A house used from the command line, and every result by a name of its own."""

    folder: Path
    results: dict[str, Result] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        return self.folder / "house"

    def __call__(self, name: str, *arguments: object) -> Result:
        self.results[name] = glasshouse(*arguments)
        return self.results[name]

    def __getitem__(self, name: str) -> Result:
        return self.results[name]


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory, prepared_dbt: Path) -> Iterator[Session]:
    """From `init` to an opened insight, with a few mistakes on the way."""
    folder = tmp_path_factory.mktemp("command")
    (folder / "charters").mkdir()
    (folder / "charters" / "tiny.yaml").write_text(CHARTER)
    rows = {"sales": sales_rows(), "products": product_rows(), "people": profiles()}
    for name, content in rows.items():
        (folder / f"{name}.csv").write_bytes(csv_bytes(content))
    (folder / "few.csv").write_bytes(csv_bytes(people_rows(20)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GLASSHOUSE_HOME", str(folder / "house"))
        patch.setenv("GLASSHOUSE_CHARTERS", str(folder / "charters"))
        patch.setenv("GLASSHOUSE_DUCKDB_THREADS", "1")
        patch.setenv("HOME", str(folder / "home"))
        patch.chdir(folder)
        used = Session(folder)
        use(used, prepared_dbt)
        yield used


def profiles() -> list[dict[str, object]]:
    """Four households are the only old ones with a high income: a group that has to be hidden."""
    rows = people_rows()
    for unit, row in enumerate(rows):
        if unit < 4:
            row |= {"age": "old", "income": "high"}
        elif row["age"] == "old":
            row["income"] = "low"
    return rows


def use(run: Session, dbt: Path) -> None:
    """What somebody does with a new house."""
    day = ("--provenance", "Made for a test.")
    whole = ("--from", "2024-01-01", "--until", "2024-12-31")
    asked = ("request", "joint_segmentation", "--purpose", "insight", "--as", "shop.analyst", *WHY)

    run("no house", "status")
    copy_manifest(dbt, load_settings())
    run("init", "init", "--trial")
    run("init again", "init", "--trial", "--json")
    run("status at first", "status")
    run("room at first", *asked, "--no-wait", "-p", "rows=age", "-p", "columns=none")
    run("no file", "contribute", "nowhere.csv", "--dataset", "people", *day)
    run("no such dataset", "contribute", "people.csv", "--dataset", "pets", *day)
    run("no period", "contribute", "people.csv", "--dataset", "people", *day)
    run("no key", "contribute", "people.csv", "--dataset", "sales", *day, "--key", "nowhere.pem")
    run("invite", "room", "invite", "--for", "panel.steward")
    run("invite again", "room", "invite", "--for", "panel.steward")
    run("invite json", "room", "invite", "--for", "panel.steward", "--to", "again.json", "--json")
    run("invite an executive", "room", "invite", "--for", "panel.executive")
    own = run.home / "members" / "tiny" / "panel.steward.pem"
    desk = ("--dataset", "people", "--invitation", "again.json", "--key", own, *day, *whole)
    run("prepare dry", "prepare", "people.csv", *desk, "--dry-run")
    run("prepare unasked", "prepare", "people.csv", *desk)
    run("prepare json", "prepare", "people.csv", *desk, "--yes", "--json", "--out", "prepared")
    run("contribute", "contribute", "sales.csv", "--dataset", "sales", *day)
    run("contribute json", "contribute", "products.csv", "--dataset", "products", *day, *whole, "--json")
    run("contribute few", "contribute", "few.csv", "--dataset", "people", *day, *whole)
    run("run with a failing gate", "run")
    run("status with a failed gate", "status")
    run("contribute people", "contribute", "people.csv", "--dataset", "people", *day, *whole)
    run("run", "run", "--json")
    run("run again", "run")
    run("run again json", "run", "--json")
    run("request", *asked, "-p", "rows=age", "-p", "columns=income")
    run("request json", *asked, "-p", "rows=age", "-p", "columns=income", "--json")
    run("request denied", *asked[:3], "planning", *asked[4:])
    run("request denied json", *asked[:3], "planning", *asked[4:], "--json")
    run("request badly written", *asked, "-p", "rows")
    run("request malformed", *asked, "-p", "rows=Alter; DROP")
    release = run["request json"].document["release"]
    opening = ("open", release, "--as")
    run("open", *opening, "shop.analyst", *WHY)
    run("open json", *opening, "shop.analyst", *WHY, "--json")
    run("open and save", *opening, "shop.analyst", *WHY, "--save", "saved")
    run("open denied", *opening, "panel.steward", *WHY)
    run("open denied json", *opening, "panel.steward", *WHY, "--json")
    run("open without a reason", *opening, "shop.analyst")
    run("open what is not there", "open", "i-000000000000", "--as", "shop.analyst", *WHY)
    run("status", "status")
    run("status json", "status", "--json")
    run("lineage", "lineage", "export")
    run("lineage json", "lineage", "export", "--json")
    run("log", "audit", "log")
    run("log json", "audit", "log", "--json", "--limit", "500")
    run("log of gates", "audit", "log", "--type", "gate.passed", "--json")
    run("proof", "audit", "proof", "3")
    run("proof json", "audit", "proof", "3", "--json")
    (run.folder / "proof.json").write_text(run["proof json"].out)
    run("proof checked", "audit", "proof", "--check", "proof.json")
    run("proof of nothing", "audit", "proof")
    run("proof of the future", "audit", "proof", "9999")
    run("verify", "audit", "verify")
    run("verify json", "audit", "verify", "--json")
    run("charter check", "charter", "check", "charters/tiny.yaml")
    run("charter check json", "charter", "check", "charters/tiny.yaml", "--json")
    (run.folder / "broken.yaml").write_text(CHARTER.replace("max_cells: 100", ""))
    run("charter broken", "charter", "check", "broken.yaml")
    run("charter broken json", "charter", "check", "broken.yaml", "--json")
    run("charter new", "charter", "new", "mine.yaml")
    run("charter new again", "charter", "new", "mine.yaml")
    run("charter check new", "charter", "check", "mine.yaml")


# --- exit codes


@pytest.mark.parametrize(
    ("code", "names"),
    [
        (
            0,
            "init, init again, status at first, room at first, invite, invite json, prepare dry,"
            " prepare json, contribute, contribute json, contribute few,"
            " contribute people, run, run again, run again json, request, request json, open, open json,"
            " open and save, status, status json, status with a failed gate, lineage, lineage json, log,"
            " log json, log of gates, proof, proof json, proof checked, verify, verify json, charter check,"
            " charter check json, charter new, charter check new",
        ),
        (
            1,
            "run with a failing gate, invite an executive, request denied, request denied json, open denied,"
            " open denied json,"
            " open without a reason",
        ),
        (
            2,
            "no house, invite again, prepare unasked,"
            " no file, no such dataset, no period, no key, request badly written, request malformed,"
            " open what is not there, proof of nothing, proof of the future, charter broken,"
            " charter broken json, charter new again",
        ),
    ],
)
def test_exit_codes_say_how_it_ended(session: Session, code: int, names: str) -> None:
    found = {name: session[name].code for name in names.split(", ")}
    wrong = {name: (got, session[name].err[-300:]) for name, got in found.items() if got != code}
    assert not wrong


def test_every_command_was_used_and_every_code_judged(session: Session) -> None:
    judged = [mark.args[1] for mark in test_exit_codes_say_how_it_ended.pytestmark]  # type: ignore[attr-defined]
    names = {name for rows in judged for _, text in rows for name in text.split(", ")}
    assert names == session.results.keys()


def test_a_missing_service_is_3(session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        refused = glasshouse("serve", "--port", taken.getsockname()[1])
    assert (refused.code, refused.refusal) == (3, "serve.port_in_use")
    shutil.copytree(session.home, tmp_path / "copy")
    (tmp_path / "copy" / "master.key").unlink()
    monkeypatch.setenv("GLASSHOUSE_HOME", str(tmp_path / "copy"))
    refused = glasshouse("audit", "verify")
    assert (refused.code, refused.refusal) == (3, "keys.no_master_key")


def test_broken_integrity_is_4(session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(session.home, tmp_path / "copy")
    monkeypatch.setenv("GLASSHOUSE_HOME", str(tmp_path / "copy"))
    release = session["request json"].document["release"]
    path = tmp_path / "copy" / "shelf" / release / "table.csv"
    write_durably(path, path.read_bytes().replace(b"hidden", b"999999", 1))
    refused = glasshouse("open", release, "--as", "shop.analyst", *WHY)
    assert (refused.code, refused.refusal) == (4, "passport.file_changed")
    note = next((tmp_path / "copy" / "checkpoints").glob("*.txt"))
    write_durably(note, note.read_bytes()[:-3] + b"A=\n")
    broken = glasshouse("audit", "verify")
    assert broken.code == 4
    assert "log.verification_failed" in broken.err
    as_json = glasshouse("audit", "verify", "--json")
    assert as_json.code == 4
    assert as_json.document["ok"] is False


@pytest.mark.parametrize(
    "arguments", [("frobnicate",), ("request",), ("open", "x"), ("audit", "log", "--limit", "none")]
)
def test_wrong_usage_is_2(arguments: tuple[str, ...]) -> None:
    assert glasshouse(*arguments).code == 2


# --- two outputs


def test_results_go_to_stdout_and_progress_to_stderr(session: Session) -> None:
    for name in ("run with a failing gate", "run", "request"):
        assert "✓" in session[name].err, name
        assert "✓" not in session[name].out, name
    for name in ("init", "status", "open", "log", "verify", "charter check", "lineage"):
        assert session[name].out, name
        assert session[name].err == "", name


def test_json_is_one_document_and_nothing_else(session: Session) -> None:
    named = [name for name in session.results if name.endswith(" json")]
    assert len(named) > 10
    for name in [*named, "init again", "run", "log of gates"]:
        document = session[name].document
        assert isinstance(document, dict | list), name
        assert "Refused" not in session[name].out


def test_a_refusal_in_json_has_code_message_and_next_step(session: Session) -> None:
    for name, code in {
        "request denied json": "request.purpose_not_agreed",
        "open denied json": "policy.not_a_receiver",
    }.items():
        error = session[name].document["error"]
        assert error["code"] == code
        assert error["message"]
        assert error["next_step"]
        assert session[name].err == ""


@pytest.mark.parametrize(
    ("name", "code"),
    {
        "no house": "house.not_initialized",
        "no file": "contribute.no_file",
        "no such dataset": "charter.unknown_name",
        "no period": "contribute.no_period",
        "no key": "member.no_key",
        "request denied": "request.purpose_not_agreed",
        "request badly written": "request.bad_parameter",
        "request malformed": "request.malformed",
        "open denied": "policy.not_a_receiver",
        "open without a reason": "policy.justification_missing",
        "open what is not there": "access.no_such_release",
        "proof of nothing": "audit.proof_usage",
        "proof of the future": "log.no_such_event",
        "charter new again": "charter.exists",
    }.items(),
)
def test_a_refusal_says_what_why_and_what_would_pass(session: Session, name: str, code: str) -> None:
    assert session[name].refusal == code


def test_everything_for_people_fits_80_columns(session: Session) -> None:
    for name, result in session.results.items():
        if "json" in name or name in ("lineage", "init again", "run", "log of gates"):
            continue
        assert not result.too_wide, name


# --- what they say


def test_a_house_begins_with_its_members(session: Session) -> None:
    document = session["init again"].document
    assert document["collaborations"] == {"tiny": "active"}
    for key in (session.home / "members" / "tiny").glob("*.pem"):
        assert key.stat().st_mode & 0o777 == 0o600


def test_status_says_who_has_to_do_what(session: Session) -> None:
    first = session["status at first"].out
    for dataset in ("sales", "products", "people"):
        assert f"contribute {dataset}" in first
    assert "mend people" in session["status with a failed gate"].out
    state = session["status json"].document
    assert state["room"] == "up to date"
    assert {d["dataset"]: d["rows"] for d in state["datasets"]} == {
        "sales": 240,
        "products": 7,
        "people": 120,
    }
    assert {d["state"] for d in state["datasets"]} == {"gate passed"}


def test_a_failed_gate_is_told_with_its_rule(session: Session) -> None:
    assert "many_units" in session["run with a failing gate"].err
    steps = {(s["step"], s["succeeded"]) for s in session["run"].document}
    assert steps >= {("intake", True), ("refresh", True)}
    assert session["run again json"].document == []


def test_the_same_question_has_one_answer(session: Session) -> None:
    again = session["request json"].document
    assert again["request"] in session["request"].out
    assert again["release"] in session["request"].out
    assert again["problem"] is None


def test_an_opened_insight_has_finding_table_plot_and_passport(session: Session) -> None:
    text = session["open"].out
    for part in ("▒▒▒", "█", "hidden because fewer than 5 households", "Passport verified"):
        assert part in text, part
    document = session["open json"].document
    assert document["detail"] == "full"
    assert document["passport"]["purpose"] == "insight"
    assert {row["status"] for row in document["table"]["rows"]} == {"shown", "suppressed"}
    saved = {path.name for path in (session.folder / "saved").iterdir()}
    assert {"table.parquet", "table.csv", "chart.png", "chart.vl.json", "passport.json"} <= saved


def test_lineage_is_ndjson_or_one_array(session: Session) -> None:
    lines = [json.loads(line) for line in session["lineage"].out.splitlines()]
    assert lines == session["lineage json"].document
    run_id = lines[0]["run"]["runId"]
    one = glasshouse("lineage", "export", "--run", run_id)
    assert {json.loads(line)["run"]["runId"] for line in one.out.splitlines()} == {run_id}


def test_the_log_is_listed_filtered_proven_and_verified(session: Session) -> None:
    events = session["log json"].document
    assert [each["seq"] for each in events] == list(range(len(events)))
    assert {each["event"]["type"] for each in session["log of gates"].document} == {"gate.passed"}
    assert "gate.failed" in {each["event"]["type"] for each in events}
    proof = session["proof json"].document
    assert proof["seq"] == 3
    assert "The proof holds" in session["proof checked"].out
    verified = session["verify json"].document
    assert verified["ok"] is True
    assert verified["problems"] == []


def test_a_proof_of_something_else_does_not_hold(session: Session, tmp_path: Path) -> None:
    proof = session["proof json"].document
    proof["event"]["actor"] = "panel.steward"
    (tmp_path / "proof.json").write_text(json.dumps(proof))
    assert glasshouse("audit", "proof", "--check", tmp_path / "proof.json").code == 4


def test_a_charter_is_checked_and_begun(session: Session) -> None:
    assert session["charter check json"].document
    assert session["charter broken json"].document
    assert (session.folder / "mine.yaml").is_file()
    assert "max_cells" in session["charter broken"].out


@pytest.mark.parametrize(
    "command",
    ["", "init", "demo", "contribute", "request", "run", "open", "status", "serve", "dev", "audit",
     "audit log", "audit verify", "audit proof", "lineage", "lineage export", "charter",
     "charter check", "charter new"],
)  # fmt: skip
def test_every_command_explains_itself(command: str) -> None:
    shown = glasshouse(*command.split(), "--help")
    assert shown.code == 0
    assert "Usage:" in shown.out
    assert all(len(line) <= 80 for line in shown.out.splitlines())


@pytest.mark.slow
def test_the_demo_shows_a_whole_collaboration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prepared_dbt: Path
) -> None:
    monkeypatch.setenv("GLASSHOUSE_HOME", str(tmp_path / "house"))
    monkeypatch.setenv("GLASSHOUSE_CHARTERS", str(PROJECT_ROOT / "charters"))
    shutil.copytree(prepared_dbt, tmp_path / "house" / "dbt")
    prepare_manifest(load_settings())
    shown = glasshouse("demo")
    assert shown.code == 0, shown.err
    for part in (
        "1,559 households are in both",
        "26 of 62 cells are shown",
        "Type A         3,647",
        "Denied",
    ):
        assert part in shown.out, part
    assert all(len(line) <= 80 for line in (shown.out + shown.err).splitlines())
    again = glasshouse("demo", "--json")
    assert len(again.document["insights"]) == 3
    assert again.document["log"]["sound"] is True
