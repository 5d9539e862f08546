"""`docs/contribute.md` is true: every command in it is run as it is written, in order, and answers as shown.

The first six parts use data that is installed; Adult and Online Retail are public data beside the project.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestration.charter import load_charter
from orchestration.settings import PROJECT_ROOT
from tests import adult
from tests.integration.conftest import completejourney
from tests.integration.shell import run_in_bash
from tests.integration.shown import Shown, pattern, shown_commands

PAGE = PROJECT_ROOT / "docs" / "contribute.md"
TEXT = PAGE.read_text(encoding="utf-8")
COMMANDS = shown_commands(TEXT)
FIRST_ON_PUBLIC_DATA = next(n for n, line in enumerate(TEXT.splitlines(), 1) if line.startswith("## 7."))
EXAMPLES = sorted((PROJECT_ROOT / "docs" / "examples").glob("*.yaml"))


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    folder = tmp_path / "desk"
    folder.mkdir()
    return folder


def differences(commands: list[Shown], desk: Path) -> list[str]:
    """Of each command whose ending or answer is not the page's, what it said instead."""
    (desk.parent / "talk").mkdir()
    results = run_in_bash([each.command for each in commands], desk, desk.parent / "talk")
    found = []
    for shown, (code, lines) in zip(commands, results, strict=False):
        said = "\n".join(lines).rstrip() + "\n"  # progress leaves an empty line behind where nobody watches
        if (code != 0) != shown.is_refused or (shown.answer and not pattern(shown.answer).fullmatch(said)):
            found.append(f"line {shown.line}: {shown.command}\nended with {code} and said\n{said}")
    if len(results) != len(commands):
        found.append("the shell stopped early")
    return found


def test_a_life_of_data_goes_as_the_page_says(desk: Path) -> None:
    assert completejourney().is_dir()
    found = differences([each for each in COMMANDS if each.line < FIRST_ON_PUBLIC_DATA], desk)
    assert not found, "\n".join(found)


@adult.needs_adult
def test_the_parts_on_public_data_go_as_the_page_says(desk: Path) -> None:
    assert adult.FOLDER is not None
    for file in (*adult.FOLDER.glob("adult_arx/*.csv"), *adult.FOLDER.glob("online_retail/*.parquet")):
        (desk / file.name).symlink_to(file)
    commands = [each for each in COMMANDS if each.command.startswith("checkout=")]
    commands += [each for each in COMMANDS if each.line > FIRST_ON_PUBLIC_DATA]
    found = differences(commands, desk)
    assert not found, "\n".join(found)


def test_the_page_shows_what_it_promises() -> None:
    commands = "\n".join(each.command for each in COMMANDS)
    for needed in (
        *("anonymity", "--propose", "prepare", "--dry-run", "contribute", "--supersedes", "withdraw people"),
        *("withdraw contribution", "destruction certificate", "destruction verify", "contribution rejected"),
    ):
        assert needed in commands, needed
    answers = "\n".join(line for each in COMMANDS for line in each.answer)
    for published in (  # by ARX, UCI and others; and our own suppression of all classes below ten
        *("19,502", "15,512 (51.43%)", "64.66%", "528", "62 (0.21%)", "suppressing 985 rows"),
        *("135,080  623", "397,884", "44 (5.49%)", "6,589"),
    ):
        assert published in answers, published


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_the_examples_are_good_charters(file: Path) -> None:
    charter = load_charter(file)
    assert charter.collaboration == file.stem
    comments = [line for line in file.read_text(encoding="utf-8").splitlines() if line.startswith("# For ")]
    assert len(comments) == 1, "one line says what it is for"
    assert not (PROJECT_ROOT / "charters" / file.name).exists(), "the demo's house would serve it"
