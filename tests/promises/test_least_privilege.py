"""Who in the house asks for which key, read from the source: every use stands in a table here, or is refused.

What a handle itself refuses is shown in `tests/integration/test_house_keys.py`.
"""

from __future__ import annotations

import ast

import pytest

from orchestration.settings import PROJECT_ROOT

PACKAGE = PROJECT_ROOT / "orchestration"

# What a house hands out → who may ask for it. Nothing of it is for `defs/`, `portal/` or `cli/`.
ACCESS = {
    "vault": (
        *("house.py", "stages/intake.py", "stages/deidentify.py", "stages/destruction.py"),
        # People who were taken out: their lists are read at intake too, and checked before one is recorded.
        *(
            "stages/withdrawal.py",
            "stages/taken_out.py",
            "stages/governance.py",
            "stages/repseudonymizing.py",
        ),
    ),
    "writer": ("stages/intake.py", "stages/withdrawal.py"),
    "reader": (
        *("stages/deidentify.py", "stages/withdrawal.py", "stages/taken_out.py", "stages/governance.py"),
    ),
    "discard": ("stages/intake.py", "stages/destruction.py", "stages/withdrawal.py"),
    "pseudonym_key": (
        *("stages/deidentify.py", "stages/arrived.py", "stages/inviting.py"),
        *("stages/withdrawal.py", "stages/taken_out.py"),
    ),
    "blinding_key": ("stages/deidentify.py",),
    "renew_blinding_key": ("stages/repseudonymizing.py",),
    "package_identity": ("house.py", "stages/arrived.py"),
    "shred_keys": ("stages/destruction.py",),
    "login_key": ("stages/login.py",),
}
# The whole key store: where handles are made, and where all of it is shown or rotated.
WHOLE_STORE = {
    "house.py": {"create", "destroy", "renew", "secret"},
    "stages/key_rotation.py": {"forget", "kinds", "rotate"},
    "cli/keyring.py": {"kinds", "service", "versions", "wrapped_by"},
}
OF_THE_STORE = {
    "create", "destroy", "forget", "initialize", "renew", "rotate", "secret", "service", "versions",
    "kinds", "wrapped_by", "holds",
}  # fmt: skip
# Modules that are the key service and the two stores themselves.
STORES = ("engine/",)


def attributes() -> list[tuple[str, ast.Attribute]]:
    return [
        (path.relative_to(PACKAGE).as_posix(), node)
        for path in sorted(PACKAGE.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
    ]


def is_of_a_house(node: ast.expr) -> bool:
    """`house`, `run.house`, `self.house`, `tiny.house.house` …; and `self` inside `House`."""
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    return name.lstrip("_") == "house"


@pytest.mark.parametrize("handle", [each for each in ACCESS if each not in ("writer", "reader", "discard")])
def test_only_who_needs_a_key_asks_the_house_for_it(handle: str) -> None:
    users = {file for file, node in attributes() if node.attr == handle and is_of_a_house(node.value)}
    assert users
    assert not {user for user in users if not user.startswith(ACCESS[handle])}


@pytest.mark.parametrize("handle", ["writer", "reader", "discard"])
def test_only_who_needs_it_asks_the_vault(handle: str) -> None:
    """Whatever the vault is called there."""
    users = {
        file
        for file, node in attributes()
        if node.attr == handle and not file.startswith(STORES) and "vault" in ast.unparse(node.value)
    }
    assert users == set(ACCESS[handle])


def test_nobody_but_the_house_holds_the_whole_key_store() -> None:
    found: dict[str, set[str]] = {}
    for file, node in attributes():
        value = node.value
        if node.attr in OF_THE_STORE and isinstance(value, ast.Attribute) and value.attr == "keys":
            found.setdefault(file, set()).add(node.attr)
    assert found == WHOLE_STORE
    askers = {file for file, node in attributes() if node.attr == "keys" and is_of_a_house(node.value)}
    assert askers == WHOLE_STORE.keys() - {"house.py"}, "under another name neither"


def test_no_stage_opens_a_key_store_of_its_own() -> None:
    users = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Name) and node.id in ("KeyStore", "LocalKeys", "TokenKeys")
    }
    assert {user for user in users if not user.startswith(STORES)} == {"house.py"}
