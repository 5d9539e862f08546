"""Who may import whom, read from the source: no circles, nobody reaches upwards, one door per tool."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestration.settings import PROJECT_ROOT

PACKAGE = PROJECT_ROOT / "orchestration"

# Lowest first. A module imports from lower rows and from its own part, never from a neighbour in its row.
_CORE_OF_AUDIT = {
    "vocabulary", "chronology", "stage_events", "governance_events", "portal_events", "key_events", "events",
    "statement",
    "tables", "governance_tables", "merkle", "projections", "governance_rows", "governance_projections",
    "withdrawal_events", "withdrawal_projections",
    "log", "database", "receipts", "checkpoint", "cosignature", "tiles",
}  # fmt: skip
# What the guard of the log asks of a part that is above it: pure rules and documents.
_CORES = {
    "audit": _CORE_OF_AUDIT,
    "participants": {"decision"},
    "computation": {"request", "template"},
    "scope": {"manifest", "provenance"},
}
ROWS: tuple[frozenset[str], ...] = (
    frozenset({"errors"}),
    frozenset({"digests", "settings"}),
    frozenset({"signing"}),
    frozenset({"charter", "engine", "audit core", "participants core"}),
    frozenset({"computation core", "scope core"}),
    frozenset({"participants"}),
    frozenset({"scope", "computation", "output"}),
    frozenset({"audit", "house"}),
    frozenset({"stages"}),
    frozenset({"defs", "portal"}),
    frozenset({"cli", "definitions"}),
)
RANK = {part: rank for rank, row in enumerate(ROWS) for part in row}

# Tool → where it may be imported: folders end in a slash.
DOORS = {
    "dagster": ("defs/", "definitions.py"),
    "dagster_dbt": ("defs/",),
    "great_expectations": ("scope/gate.py", "scope/gx_expectations.py"),
    "phonenumbers": ("scope/recognizers.py", "scope/normalization.py"),
    "stdnum": ("scope/recognizers.py",),
    "duckdb_engine": ("scope/gate.py",),
    "openlineage": ("audit/lineage.py",),
    "cedarpy": ("participants/policy.py",),
    "alembic": ("audit/database.py", "audit/migrations/"),
    "dbt": ("computation/child.py", "engine/room_plugin.py"),
    "sqlglot": ("audit/column_lineage.py", "audit/column_flow.py"),
    "starlette": ("portal/",),
    "jinja2": ("portal/", "computation/model_sql.py"),
    "uvicorn": ("cli/serve.py",),
    "typer": ("cli/",),
    "open_data_contract_standard": ("audit/catalog/odcs.py", "audit/catalog/odcs_import.py"),
    "altair": ("output/charts.py",),
    "vl_convert": ("output/charts.py",),
    "pkcs11": ("engine/token_keys.py",),
}

# DESIGN §3: whoever opens the repository sees this and nothing else.
TOP_LEVEL = {
    ".ci", ".gitignore", "CHANGELOG.md", "LICENSE", "Makefile", "README.md", "SECURITY.md", "benchmarks",
    "charters", "dbt_project", "docs", "expectations", "orchestration", "pyproject.toml", "tests", "uv.lock",
    "workspace.yaml",
}  # fmt: skip
# What tools and runs leave behind; .gitignore keeps them out of the repository.
LEFT_BEHIND = {
    ".git", ".venv", ".tools", ".glasshouse", ".hypothesis", ".mypy_cache", ".pytest_cache", ".ruff_cache",
}  # fmt: skip


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def imported(path: Path) -> Iterator[str]:
    """Every module a file imports, lazily or not; `from a import b` counts as `a.b` when that is a module."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide where a name comes from"
            assert node.module is not None
            for alias in node.names:
                below = PROJECT_ROOT.joinpath(*node.module.split("."), f"{alias.name}.py")
                yield f"{node.module}.{alias.name}" if below.exists() else node.module


def part_of(module: str) -> str:
    """The part of the house a module of ours belongs to: `orchestration.audit.log` → `audit core`."""
    names = module.split(".")[1:]
    if len(names) > 1 and names[1] in _CORES.get(names[0], ()):
        return f"{names[0]} core"
    return names[0]


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_modules_import_downwards_only(path: Path) -> None:
    module = ".".join(path.relative_to(PROJECT_ROOT).with_suffix("").parts).removesuffix(".__init__")
    if module == "orchestration":
        assert not list(imported(path))
        return
    here = part_of(module)
    above = {
        name
        for name in imported(path)
        if name.startswith("orchestration.") and part_of(name) != here and RANK[part_of(name)] >= RANK[here]
    }
    assert not above, f"{here} may not import {sorted(above)}"


@pytest.mark.parametrize("tool", DOORS)
def test_each_tool_lives_behind_its_door(tool: str) -> None:
    users = {
        path.relative_to(PACKAGE).as_posix()
        for path in modules()
        if any(name.split(".")[0] == tool for name in imported(path))
    }
    strangers = {user for user in users if not user.startswith(DOORS[tool])}
    assert users, f"nothing imports {tool}; take its door off the list"
    assert not strangers


def test_only_settings_reads_the_environment() -> None:
    readers = {
        path.relative_to(PACKAGE).as_posix()
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute | ast.Name)
        and (node.attr if isinstance(node, ast.Attribute) else node.id)
        in {"environ", "environb", "getenv", "getenvb", "putenv"}
    }
    assert readers == {"settings.py"}


def test_nothing_is_named_like_a_dbt_plugin() -> None:
    """dbt imports every top-level module whose name begins with `dbt_`."""
    assert not [path for path in modules() if path.name.startswith("dbt_")]


def test_every_module_says_what_belongs_in_it() -> None:
    silent = [path for path in modules() if not ast.get_docstring(ast.parse(path.read_text("utf-8")))]
    assert not silent


def test_the_top_level_is_the_documented_list() -> None:
    found = {path.name for path in PROJECT_ROOT.iterdir()} - LEFT_BEHIND
    assert found == TOP_LEVEL
