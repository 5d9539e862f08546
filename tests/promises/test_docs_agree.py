"""What the reference pages say is what the code does: they are made from it, and compared here."""

from __future__ import annotations

import ast
import importlib.util
import re
from types import ModuleType

import pytest

from orchestration.errors import declared_reasons
from orchestration.settings import PROJECT_ROOT, Settings

DOCS = PROJECT_ROOT / "docs"


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    """`docs/generate.py`, which is a script and no part of the package."""
    spec = importlib.util.spec_from_file_location("docs_generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["errors.md", "settings.md", "cli.md"])
def test_a_generated_page_is_up_to_date(generator: ModuleType, name: str) -> None:
    written = (DOCS / name).read_text(encoding="utf-8")
    assert written == generator.pages()[name], "run: python docs/generate.py"


def test_every_code_that_can_be_raised_is_documented(generator: ModuleType) -> None:
    documented = generator.reasons()
    # Tests may declare reasons of their own; whatever the package declared must be among the documented.
    ours = {code: reason for code, reason in declared_reasons().items() if not code.startswith("test.")}
    assert ours == documented
    page = (DOCS / "errors.md").read_text(encoding="utf-8")
    assert all(f"**`{code}`**" in page for code in documented)


def test_reasons_stand_at_the_top_of_their_module() -> None:
    """A reason made inside a function would exist only once that function ran, and no page would list it."""
    hidden = []
    for path in (PROJECT_ROOT / "orchestration").rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        top = {id(node.value) for node in tree.body if isinstance(node, ast.Assign | ast.AnnAssign)}
        hidden += [
            f"{path.name}:{node.lineno}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id == "Reason"
            and id(node) not in top
        ]
    assert not hidden


def test_every_reason_says_what_to_do_next(generator: ModuleType) -> None:
    for code, reason in generator.reasons().items():
        assert reason.next_step.strip(), code
        assert reason.message.rstrip().endswith((".", "!", ")", "}")), code


def test_every_command_that_refusals_and_pages_name_is_there(generator: ModuleType) -> None:
    leaves = {path.removeprefix("glasshouse ") for path, _ in generator.commands()}
    groups = {leaf.split()[0] for leaf in leaves if " " in leaf}
    texts = {code: f"{reason.message} {reason.next_step}" for code, reason in generator.reasons().items()}
    pages = [*DOCS.rglob("*.md"), *PROJECT_ROOT.glob("*.md")]
    texts |= {page.name: page.read_text(encoding="utf-8") for page in pages}
    named = [
        (where, first, second)
        for where, text in texts.items()
        for first, second in re.findall(r"glasshouse ([a-z]+)(?: ([a-z]+))?(?=[ `])", text)
    ]
    assert len(named) > 200
    wrong = [
        (where, first, second)
        for where, first, second in named
        if first not in leaves and not (first in groups and (not second or f"{first} {second}" in leaves))
    ]
    assert not wrong


def test_every_setting_has_a_variable_on_the_page() -> None:
    page = (DOCS / "settings.md").read_text(encoding="utf-8")
    assert all(f"`GLASSHOUSE_{name.upper()}`" in page for name in Settings.model_fields)
    assert all(field.description for field in Settings.model_fields.values())


def test_every_command_is_on_the_page(generator: ModuleType) -> None:
    page = (DOCS / "cli.md").read_text(encoding="utf-8")
    commands = dict(generator.commands())
    assert {
        "glasshouse init", "glasshouse demo", "glasshouse contribute", "glasshouse request", "glasshouse run",
        "glasshouse open", "glasshouse status", "glasshouse lineage export", "glasshouse audit log",
        "glasshouse audit verify", "glasshouse audit proof", "glasshouse serve", "glasshouse charter check",
        "glasshouse charter new",
    } <= commands.keys()  # fmt: skip
    for path, command in commands.items():
        assert f"## {path}\n" in page
        assert command.help, f"{path} does not say what it does"
