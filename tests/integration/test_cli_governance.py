"""Agreeing, deciding, objecting and stopping at the command line: its width, JSON, codes and next steps.

One trial house goes from its first charter to its end; the tests look at what it said on the way.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import typer.main

from orchestration.cli import app
from orchestration.settings import load_settings
from tests.governed_charter import governed
from tests.integration.command import Result, glasshouse
from tests.integration.conftest import copy_manifest

CHARTER = (
    governed()
    .replace("datasets:\n", "terms: [{id: secrecy, title: Secrecy, text: Nobody tells.}]\ndatasets:\n", 1)
    .replace("prohibited_uses, output.formats]", "prohibited_uses, output.formats, terms.*.text]")
)
WHY = ("--why", "To see it work.")
FAR = ("--until", "2027-06-30")
READING = (
    "status", "charter status", "participant list", "member list", "key list", "grant list",
    "grant list --all", "terms show", "dataset list", "decision list", "decision list --all", "dispute list",
    "exception list", "review list", "report summary", "report decisions", "report shares", "report council",
    "report contributor shop", "audit witnesses", "audit log", "audit verify", "audit replay",
    "catalog list", "catalog show sales", "catalog search class:sensitive", "catalog timeline people",
    "catalog record", "catalog map",
)  # fmt: skip
BEFORE = ("decision list", "dispute list", "exception list", "review list", "report council", "report shares")
AFTER = ("charter status", "participant list", "member list", "report council", "report summary")
# What `test_cli.py` uses, what does not end by itself, and what only asks at a terminal.
ELSEWHERE = {
    "charter check", "charter new", "charter import-odcs", "catalog export", "catalog taxonomy", "scan",
    "contribute", "open", "run", "lineage export", "audit proof", "demo",
    "serve", "dev", "login enable", "login disable", "login token", "login revoke", "login list",
    # What is done with data: its own walk is in `test_contribute_walk.py`.
    "prepare", "anonymity", "charter hierarchy", "room invite", "room rekey",
    "contribution list", "contribution show", "contribution rejected", "contribution unseal",
    "withdraw people", "withdraw contribution", "withdraw list",
    "destruction list", "destruction certificate", "destruction verify", "audit passport",
    "keyring status", "keyring rotate", "keyring recipient",
}  # fmt: skip


@dataclass(frozen=True)
class Step:
    """A command, how it ended, and the code it was to be refused with; None: it was to be done."""

    arguments: tuple[str, ...]
    result: Result
    refused: str | None = None
    exit_code: int = 0

    @property
    def said(self) -> str:
        return " ".join(self.arguments)


@dataclass
class Walk:
    """Everything that was typed, in order, and what it said."""

    folder: Path
    steps: list[Step] = field(default_factory=list)

    def does(self, line: str, *more: object) -> Result:
        return self._take(line, more, None, 0)

    def no(self, code: str, line: str, *more: object, exit_code: int = 1) -> Result:
        return self._take(line, more, code, exit_code)

    def reads(self, line: str) -> Any:
        """A command that records nothing, for people and for programs; returns what it tells programs."""
        self.does(line)
        return json.loads(self.does(line, "--json").out)

    def _take(self, line: str, more: tuple[object, ...], code: str | None, exit_code: int) -> Result:
        arguments = (*line.split(), *map(str, more))
        self.steps.append(Step(arguments, glasshouse(*arguments), code, exit_code))
        return self.steps[-1].result

    def told(self, line: str) -> str:
        """What the last such command that was done said, for people; lines joined."""
        done = [each for each in self.steps if each.refused is None and "--json" not in each.arguments]
        found = [each for each in done if each.said.startswith(line)][-1].result
        return " ".join((found.out + found.err).split())


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory, prepared_dbt: Path) -> Iterator[Walk]:
    folder = tmp_path_factory.mktemp("governance")
    (folder / "charters").mkdir()
    (folder / "charters" / "tiny.yaml").write_text(CHARTER)
    (folder / "passphrase").write_text("four unrelated plain words\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GLASSHOUSE_HOME", str(folder / "house"))
        patch.setenv("GLASSHOUSE_CHARTERS", str(folder / "charters"))
        patch.setenv("GLASSHOUSE_DUCKDB_THREADS", "1")
        patch.chdir(folder)
        copy_manifest(prepared_dbt, load_settings())
        walked = Walk(folder)
        _begin(walked)
        _decide(walked)
        _object(walked)
        _keys_and_roles(walked)
        _charters(walked)
        _read_and_mistype(walked)
        _stop(walked)
        _end(walked)
        yield walked


def _begin(walk: Walk) -> None:
    walk.does("init")
    walk.no("charter.none_proposed", "terms show", exit_code=2)
    walk.no("charter.none_in_force", "charter diff charters/tiny.yaml", exit_code=2)
    walk.does("init --trial")
    for command in BEFORE:
        walk.does(command)
    walk.does("terms acknowledge --as shop.analyst --sign-to acknowledged.json")


def _decide(walk: Walk) -> None:
    asking = "request joint_segmentation --purpose insight --as shop.analyst -p rows=age -p columns=none"
    asked = walk.does(asking, "--no-wait", *WHY)
    request = re.findall(r"r-[0-9a-f]+", asked.out)[0]
    other = walk.does(asking.replace("none", "income"), "--no-wait", "--json", *WHY).document["request"]
    walk.does(f"reject {other} --as panel.steward --json", *WHY)
    walk.reads(f"decision show {other}")
    walk.no("policy.self_approval", f"approve {request} --as shop.analyst", *WHY)
    walk.reads(f"decision show {request}")
    walk.does(f"abstain {request} --as shop.reviewer", *WHY)
    walk.does(f"approve {request} --as panel.reviewer --why Sound.")
    walk.does(f"approve {request} --as panel.steward --sign-to vote.json", *WHY)
    walk.does("record vote.json")
    walk.does(f"approve {request} --as shop.steward", *WHY)
    walk.reads(f"decision show {request}")
    walk.no("decision.already_concluded", f"approve {request} --as shop.reviewer", *WHY)
    walk.no("decision.not_found", "decision show nope", exit_code=2)
    walk.no(
        "decision.bad_content",
        "decision open purpose churn --as shop.steward --say nothing",
        *WHY,
        exit_code=2,
    )
    walk.no("decision.unclear_content", "decision open membership panel --as shop.steward", *WHY)
    walk.does("decision open purpose churn --as shop.steward --say title=Churn --say description=Who", *WHY)
    (walk.folder / "request").write_text(request)


def _object(walk: Walk) -> None:
    request = (walk.folder / "request").read_text()
    walk.no(
        "policy.no_role",
        f"dispute raise request {request} --remedy delete --as shop.analyst",
        *WHY,
    )
    walk.does(f"dispute raise request {request} --remedy recall --as panel.steward", *WHY)
    dispute = walk.reads("dispute list")[0]["dispute"]
    walk.reads(f"dispute show {dispute}")
    walk.reads(f"report dispute {dispute}")
    walk.does(f"report dispute {dispute} --out pack.json")
    walk.reads("report check pack.json")
    walk.does("report contributor shop --out report.json")
    walk.reads("report check report.json")
    walk.does(f"approve {dispute} --as shop.reviewer", *WHY)
    walk.does(f"approve {dispute} --as panel.reviewer", *WHY)
    walk.reads(f"dispute show {dispute}")
    walk.no("dispute.not_found", "dispute show nope", exit_code=2)
    walk.no("dispute.not_found", "report dispute nope", exit_code=2)
    walk.no("participant.unknown", "report contributor nobody", exit_code=2)
    walk.does("exception ask Longer --owner shop.steward --risk Old --as shop.steward", *FAR, *WHY)
    exception = next(
        each["decision"] for each in walk.reads("decision list") if each["matter"] == "exception"
    )
    walk.does(f"approve {exception} --as panel.steward", *WHY)
    walk.does(f"approve {exception} --as shop.reviewer", *WHY)
    walk.reads("exception list")


def _keys_and_roles(walk: Walk) -> None:
    secret = ("--passphrase-file", "passphrase")
    walk.does("key new panel.executive --out new", *secret)
    walk.no("key.exists", "key new panel.executive --out new", *secret, exit_code=2)
    walk.reads("key show new/panel.executive.json")
    walk.does("key rotate --as shop.reviewer --out rotated", *secret)
    walk.no("statement.revoked_key", "freeze --as shop.reviewer", *WHY)
    key = next(each["key_id"] for each in walk.reads("key list") if each["member"] == "panel.executive")
    walk.no("key.not_found", "key revoke panel.executive --key-id zz --as panel.steward", *WHY, exit_code=2)
    walk.does(f"key revoke panel.executive --key-id {key[:12]} --as panel.steward", *WHY)
    walk.does("member enroll panel.executive --public-key new/panel.executive.json --as panel.steward")
    other = "--public-key new/panel.executive.json --as panel.steward"
    walk.no("member.other_public_file", f"member enroll panel.auditor {other}", exit_code=2)
    walk.no(
        "member.no_such_role", "grant give panel.auditor chief --as panel.steward", *FAR, *WHY, exit_code=2
    )
    walk.does("grant give panel.auditor auditor --as panel.steward", "--until", "2026-12-31", *WHY)
    grant = next(each["grant"] for each in walk.reads("grant list") if each["grant"].startswith("grant-"))
    walk.does(f"grant renew {grant} --as panel.steward", "--until", "2027-01-31", *WHY)
    walk.does(f"grant revoke {grant} --as panel.steward", *WHY)
    walk.no("grant.not_found", "grant revoke nope --as panel.steward", *WHY, exit_code=2)
    walk.does("emergency shop.analyst steward --hours 2 --as shop.steward", *WHY)
    walk.reads("participant list")
    walk.reads("member list")
    walk.no("review.not_found", "review show nope", exit_code=2)
    walk.no("review.not_found", "review attest nope nope --keep --as panel.steward", *WHY, exit_code=2)
    walk.does("dataset attest people --evidence consent=passphrase --as panel.steward")
    walk.does("member retire panel.auditor --as panel.steward")


def _charters(walk: Walk) -> None:
    new = CHARTER.replace("version: 1", "version: 2").replace("max_cells: 100", "max_cells: 90")
    (walk.folder / "v2.yaml").write_text(new)
    walk.reads("charter diff v2.yaml")
    walk.reads("charter diff charters/tiny.yaml v2.yaml")
    walk.reads("charter maturity v2.yaml")
    walk.does("charter schema --write .")
    walk.no("charter.needs_proposer", "charter propose v2.yaml", exit_code=2)
    walk.does("charter propose v2.yaml --as panel.steward --sign-to proposal.json")
    walk.no("charter.not_proposed", "charter sign --as shop.steward --yes", exit_code=2)
    walk.does("record proposal.json")
    walk.reads("charter status")
    walk.no("charter.not_confirmed", "charter sign --as shop.steward", exit_code=2)
    walk.no("charter.not_confirmed", "charter sign --as shop.steward --json", exit_code=2)
    walk.does("charter sign --as shop.steward --yes")
    walk.does("charter withdraw --as panel.steward", *WHY)
    walk.does("audit tiles published")
    site = "--as panel.steward --collaboration {} --state memory --key house/members/tiny/panel.steward.pem"
    walk.no("witness.other_collaboration", f"witness published {site.format('other')}", exit_code=2)
    walk.does(f"witness published {site.format('tiny')} --out cosigned.txt")
    walk.no("cosignature.unknown_witness", "audit cosign cosigned.txt")
    walk.does("audit view --for shop --out view.json")
    walk.reads("audit check view.json")


def _read_and_mistype(walk: Walk) -> None:
    for command in READING:
        walk.reads(command)
    unknown = "house.unknown_collaboration"
    for command in READING:
        if not command.startswith("audit") or "witnesses" in command:
            walk.no(unknown, f"{command} --collaboration nope", exit_code=2)
    walk.no(unknown, "freeze nope --as shop.steward", *WHY, exit_code=2)
    for command in ("record", "audit cosign", "audit check", "report check"):
        walk.no("file.unreadable", f"{command} nowhere.json", exit_code=2)
    walk.no("key.public_unreadable", "key show nowhere.json", exit_code=2)
    walk.no(
        "key.public_unreadable", "member enroll panel.auditor --public-key no --as panel.steward", exit_code=2
    )
    walk.no("member.no_key", "freeze --as shop.steward --key nowhere.pem", *WHY, exit_code=2)
    walk.no("key.unreadable", "freeze --as shop.steward --key passphrase", *WHY, exit_code=2)
    walk.no("participant.unknown", "audit view --for nobody", exit_code=2)
    walk.no("policy.unknown_action", "can shop.steward aprove x", exit_code=2)
    walk.reads("can shop.steward freeze tiny")
    walk.reads("can shop.steward thaw tiny")
    walk.does("can panel.steward", "participant suspend", "shop")
    walk.does("thaw --as shop.steward", *WHY)


def _stop(walk: Walk) -> None:
    walk.does("freeze --as shop.steward", *WHY)
    walk.reads("status")
    walk.no("log.already_recorded", "freeze --as panel.steward", *WHY)
    _agree(walk, "thaw --as panel.steward", "thaw", "shop.steward")
    _agree(walk, "participant suspend panel --as shop.steward", "membership", "shop.reviewer")
    walk.reads("status")
    _agree(walk, "participant reinstate panel --as shop.steward", "membership", "shop.reviewer")
    walk.does("participant accept --as panel.steward")


def _agree(walk: Walk, asking: str, matter: str, voter: str) -> None:
    """Ask a question, and let somebody agree, with a key that was rotated where there is one."""
    walk.does(asking, *WHY)
    decision = next(each["decision"] for each in walk.reads("decision list") if each["matter"] == matter)
    key = walk.folder / "rotated" / f"{voter}.pem"
    more = ("--key", key, "--passphrase-file", "passphrase") if key.exists() else ()
    walk.does(f"approve {decision} --as {voter}", *more, *WHY)


def _end(walk: Walk) -> None:
    walk.does("participant remove panel --as shop.steward", *WHY)
    walk.no("participant.not_confirmed", "participant leave --as panel.steward", *WHY, exit_code=2)
    walk.no("participant.not_confirmed", "participant leave --as panel.steward --json", *WHY, exit_code=2)
    walk.does("participant leave --as panel.steward --yes", *WHY)
    walk.reads("charter status")
    walk.reads("status")
    _agree(walk, "charter close --as shop.steward", "closing", "shop.reviewer")
    for command in AFTER:
        walk.does(command)
    walk.reads("status")
    walk.no("lifecycle.illegal_step", "freeze --as shop.steward", *WHY)


def test_each_command_ends_as_it_should(walk: Walk) -> None:
    wrong = [
        f"{step.said}: {step.result.code}\n{step.result.out[-400:]}{step.result.err[-400:]}"
        for step in walk.steps
        if step.result.code != step.exit_code
    ]
    assert not wrong, "\n".join(wrong)


def test_a_refusal_has_its_code_and_a_next_step(walk: Walk) -> None:
    for step in walk.steps:
        if step.refused is None:
            continue
        if "--json" in step.arguments:
            error = step.result.document["error"]
            assert error["code"] == step.refused, step.said
            assert error["next_step"], step.said
        else:
            assert step.result.refusal == step.refused, f"{step.said}\n{step.result.err}"


def test_everything_for_people_fits_80_columns(walk: Walk) -> None:
    for step in walk.steps:
        if "--json" not in step.arguments:
            assert not step.result.too_wide, step.said


def test_json_is_one_document_and_nothing_else(walk: Walk) -> None:
    found = [step for step in walk.steps if "--json" in step.arguments]
    assert len(found) > 50
    for step in found:
        assert isinstance(step.result.document, dict | list), step.said
        assert step.result.err == "", step.said


def test_every_next_step_names_a_command_there_is(walk: Walk) -> None:
    known = set(_leaves(typer.main.get_command(app)))
    named = set()
    for step in walk.steps:
        text = " ".join((step.result.out + step.result.err).split())
        named |= set(re.findall(r"glasshouse ((?:[a-z]+[ `.\n]?){1,2})", text))
    assert len(named) > 15
    for words in named:
        plain = words.strip(" `.").split()
        assert plain[0] in known or " ".join(plain) in known or plain[0] in {k.split()[0] for k in known}, (
            words
        )


def test_every_command_of_governance_was_used(walk: Walk) -> None:
    leaves = set(_leaves(typer.main.get_command(app)))
    used = {leaf for step in walk.steps for leaf in leaves if f"{step.said} ".startswith(f"{leaf} ")}
    assert leaves - used == ELSEWHERE


def _leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[str]:
    below = getattr(command, "commands", None)
    if below is None:
        yield " ".join(path)
        return
    for name, each in below.items():
        yield from _leaves(each, (*path, name))


# --- what they say


def test_a_question_says_how_to_answer_it_only_while_it_waits(walk: Walk) -> None:
    assert "Next, by those who decide" in walk.told("request joint")
    assert "Next, by those who decide" in walk.told("thaw")
    assert "is rejected" in walk.told("thaw --as shop.steward")
    assert "Next" not in walk.told("thaw --as shop.steward")


def test_a_decision_tells_its_rule_its_reasons_and_its_end(walk: Walk) -> None:
    request = (walk.folder / "request").read_text()
    told = walk.told(f"decision show {request}")
    for part in ("State: approved since 20", "Rule: all whose data is read", "Sound.", "abstain"):
        assert part in told, part


def test_what_was_lent_is_not_shown_as_lasting(walk: Walk) -> None:
    listed = [step.result.out for step in walk.steps if step.said in ("participant list", "member list")]
    assert any("shop.analyst (lent)" in each for each in listed)
    assert any("analyst, steward (lent)" in each for each in listed)
    assert "until 20" in walk.told("emergency")


def test_keys_lead_to_what_comes_next(walk: Walk) -> None:
    assert "glasshouse member enroll" in walk.told("key new")
    assert "makes a new key" in walk.told("key revoke panel.executive --key-id")
    assert "--key rotated/shop.reviewer.pem" in walk.told("key rotate")


def test_who_left_has_nothing_to_do_and_is_missed(walk: Walk) -> None:
    assert "without panel" in walk.told("participant leave --as panel.steward --yes")


def test_a_closed_collaboration_gives_nobody_anything_to_do(walk: Walk) -> None:
    last = [step for step in walk.steps if step.said == "status --json"][-1]
    assert last.result.document["waiting"] == []
    assert "Nothing waits." in walk.told("status")
