"""Nothing of the log can be changed unseen: 1,000 random changes of its database, its tiles, its checkpoints
and its cosignatures, each found by `audit verify`, which says where. And an operator who rewrites the log and
signs it anew passes that verification, but not one honest witness.

Every row of every table, every file of the published copy and of the checkpoints may be flipped, dropped,
exchanged, added or cut. Only what changes nothing that anybody can read is no trial.
"""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from orchestration.audit import verify_tiles, witnessed
from orchestration.audit.log import AuditLog
from orchestration.audit.tables import metadata
from orchestration.audit.verify import verify_log
from orchestration.audit.vocabulary import now
from orchestration.errors import GlasshouseError, IntegrityError
from orchestration.signing import SigningKey
from tests.unit.audit.witness_story import Room, rewritten

SEED = 20260601
TRIALS = {"database": 300, "cosignatures": 100, "checkpoints": 150, "tiles": 450}
_WITNESSES = ("data_provider.auditor", "media_owner.steward")
_NOT_OF_THE_LOG = {"logins", "tokens"}  # how members sign in; they are no part of the record
_ORDER_ONLY = ("lineage", "id")


@dataclass
class Scene:
    """A closed house's log with everything beside it, and what it was when all was well."""

    folder: Path
    operator: SigningKey
    good: dict[str, bytes]
    tables: dict[str, list[tuple[object, ...]]]

    @property
    def database(self) -> Path:
        return self.folder / "control.db"

    @property
    def log(self) -> AuditLog:
        return AuditLog(f"sqlite:///{self.database}")

    def restore(self) -> None:
        for name, data in files(self.folder).items():
            if self.good.get(name) != data:
                (self.folder / name).unlink()
        for name, data in self.good.items():
            path = self.folder / name
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)

    def problems(self) -> list[str]:
        """What `glasshouse audit verify` says, as `where: what`."""
        try:
            with self.log as log:
                found = verify_log(log, self.folder / "checkpoints", self.operator.public)
        except GlasshouseError as error:
            return [f"database: {error.code}"]
        return [str(problem) for problem in found.problems]

    def published_problems(self) -> list[str]:
        """What `glasshouse audit verify --tiles` adds."""
        with self.log as log:
            _, found = verify_tiles.check(log, self.folder / "published", self.operator.public)
        return [str(problem) for problem in found]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    folder = tmp_path_factory.mktemp("log")
    with AuditLog(f"sqlite:///{folder / 'control.db'}") as log:
        room = Room(folder, log)
        room.found(only=frozenset(_WITNESSES))
        room.publish()
        room.live()
        for _ in range(2):
            room.publish()
            for member in _WITNESSES:
                witnessed.add_cosignatures(log, room.checkpoints, room.witness(member).note, now())
            room.grow()
        room.publish()
    shutil.rmtree(room.state)
    scene = Scene(folder, room.operator, files(folder), contents(folder / "control.db"))
    empty = {name for name, rows in scene.tables.items() if not rows}
    assert empty <= _NOT_OF_THE_LOG, "a table without rows is a table nobody tampers with"
    assert set(scene.tables) >= {table.name for table in metadata.sorted_tables}
    assert scene.problems() == []
    assert scene.published_problems() == []
    return scene


def files(folder: Path) -> dict[str, bytes]:
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in sorted(found.items())}


def contents(database: Path) -> dict[str, list[tuple[object, ...]]]:
    """Everything that can be read from the tables; of what only keeps an order, the order."""
    found = {}
    with closing(sqlite3.connect(database)) as connection:
        connection.text_factory = bytes
        for (raw,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            name = raw.decode()
            keys = [row[1].decode() for row in connection.execute(f'PRAGMA table_info("{name}")')]
            shown = [key for key in keys if (name, key) != _ORDER_ONLY]
            columns = ", ".join(f'"{key}"' for key in shown)
            order = '"id"' if name == _ORDER_ONLY[0] else columns
            found[name] = connection.execute(f'SELECT {columns} FROM "{name}" ORDER BY {order}').fetchall()
    return found


# --- one change of the database


def flip(data: bytes, dice: random.Random) -> bytes:
    changed = bytearray(data)
    changed[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
    return bytes(changed)


def other_value(value: object, dice: random.Random) -> object:
    """One bit of a value changed; what is empty gets one."""
    if isinstance(value, bytes):
        return flip(value, dice) if value else b"\x00"
    if isinstance(value, str):
        return flip(value.encode(), dice).decode("utf-8", "replace") if value else "x"
    if isinstance(value, int):
        return value ^ 1 << dice.randrange(20)
    return "x" if value is None else value


def shorter(value: object, dice: random.Random) -> object:
    if isinstance(value, bytes | str):
        return value[: dice.randrange(len(value))] if value else None
    return None


def change_table(database: Path, table: str, dice: random.Random) -> str:
    """Flip, drop, exchange, insert or cut something in one table; says what was done."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        columns = [row[1] for row in connection.execute(f'PRAGMA table_info("{table}")')]
        ids = [row[0] for row in connection.execute(f'SELECT rowid FROM "{table}"')]
        one, two, column = dice.choice(ids), dice.choice(ids), dice.choice(columns)
        how = dice.choice(["flip", "flip", "drop", "swap", "swap row", "insert", "cut", "truncate"])

        def value(row: int, name: str) -> object:
            found = connection.execute(f'SELECT "{name}" FROM "{table}" WHERE rowid = ?', (row,))
            return found.fetchone()[0]

        def put(row: int, name: str, new: object) -> None:
            connection.execute(f'UPDATE OR IGNORE "{table}" SET "{name}" = ? WHERE rowid = ?', (new, row))

        match how:
            case "flip":
                put(one, column, other_value(value(one, column), dice))
            case "cut":
                with suppress(sqlite3.IntegrityError):  # the column takes no empty value
                    put(one, column, shorter(value(one, column), dice))
            case "drop":
                connection.execute(f'DELETE FROM "{table}" WHERE rowid = ?', (one,))
            case "truncate":
                connection.execute(f'DELETE FROM "{table}" WHERE rowid >= ?', (one,))
            case "swap":
                first, second = value(one, column), value(two, column)
                put(one, column, second)
                put(two, column, first)
            case "swap row":
                first_row, second_row = ([value(row, name) for name in columns[1:]] for row in (one, two))
                for name, first, second in zip(columns[1:], first_row, second_row, strict=True):
                    put(one, name, second)
                    put(two, name, first)
            case "insert":
                row = [value(one, name) for name in columns]
                row[0] = other_value(row[0], dice) if dice.random() < 0.5 else value(two, columns[0])
                marks = ", ".join("?" * len(columns))
                connection.execute(f'INSERT OR IGNORE INTO "{table}" VALUES ({marks})', row)
        return f"{how} {table}.{column} rows {one}, {two}"


# Table → where its changes are to be found; any other table is a projection and found under its own name.
PLACES = {
    "events": ("event ", "tables"),
    "nodes": ("event ", "tree node "),
    "lineage": ("lineage of event ",),
    "checkpoints": ("checkpoint ",),
    "cosignatures": ("cosignature of checkpoint ", "checkpoint "),
    "alembic_version": ("database: log.",),
}


def tampered_table(scene: Scene, dice: random.Random, choices: list[str]) -> tuple[str, bool]:
    """(what was done, whether it was found and placed), once something really changed."""
    while True:
        table = dice.choice(choices)
        done = change_table(scene.database, table, dice)
        if contents(scene.database) == scene.tables:
            continue
        problems = scene.problems()
        places = (*PLACES.get(table, (f"table {table}", "cosignature of checkpoint ")), "database:")
        found = any(problem.startswith(places) for problem in problems)
        return f"{done}: {problems[:2]}", found


def test_every_change_of_the_database_is_found_where_it_is(scene: Scene) -> None:
    dice = random.Random(SEED)
    choices = [name for name, rows in scene.tables.items() if rows]
    missed = []
    for _ in range(TRIALS["database"]):
        done, found = tampered_table(scene, dice, choices)
        missed += [] if found else [done]
        scene.restore()
    assert missed == []


def test_every_change_of_the_kept_cosignatures_is_found_where_it_is(scene: Scene) -> None:
    dice = random.Random(SEED + 1)
    missed = []
    for _ in range(TRIALS["cosignatures"]):
        done, found = tampered_table(scene, dice, ["cosignatures"])
        missed += [] if found else [done]
        scene.restore()
    assert missed == []


def test_a_database_cut_off_is_found(scene: Scene) -> None:
    dice = random.Random(SEED + 2)
    whole = scene.database.read_bytes()
    for size in [0, 1, 100, *(dice.randrange(len(whole)) for _ in range(20))]:
        scene.database.write_bytes(whole[:size])
        assert scene.problems() != [], size
        scene.restore()


# --- one change of a file


def change_file(folder: Path, dice: random.Random, new_name: Callable[[str], str]) -> tuple[str, str]:
    """(what was done, which file must be named)."""
    names = sorted(files(folder))
    one, two = dice.sample(names, 2)
    path = folder / one
    data = path.read_bytes()
    how = dice.choice(["flip", "flip", "drop", "swap", "insert", "insert within", "cut"])
    named = one
    match how:
        case "flip":
            path.write_bytes(flip(data, dice))
        case "drop":
            path.unlink()
        case "cut":
            path.write_bytes(data[: dice.randrange(len(data))])
        case "swap":
            path.write_bytes((folder / two).read_bytes())
            (folder / two).write_bytes(data)
        case "insert":
            named = new_name(one)
            (folder / named).parent.mkdir(parents=True, exist_ok=True)
            (folder / named).write_bytes(data)
        case "insert within":
            at = dice.randrange(len(data) + 1)
            path.write_bytes(data[:at] + dice.randbytes(1) + data[at:])
    return f"{how} {one}, {two}", named


def test_every_change_of_a_checkpoint_file_is_found_where_it_is(scene: Scene) -> None:
    dice = random.Random(SEED + 3)
    folder = scene.folder / "checkpoints"
    missed, trials = [], 0
    while trials < TRIALS["checkpoints"]:
        done, named = change_file(folder, dice, lambda _: f"checkpoint-{dice.randrange(10**9):010d}.txt")
        if files(scene.folder) == scene.good:
            continue
        trials += 1
        size = int(named.removeprefix("checkpoint-").removesuffix(".txt"))
        places = (f"checkpoint {size}: ", f"checkpoint file {named}: ")
        if not any(problem.startswith(places) for problem in scene.problems()):
            missed.append(done)
        scene.restore()
    assert missed == []


def test_every_change_of_the_published_tiles_is_found_where_it_is(scene: Scene) -> None:
    dice = random.Random(SEED + 4)
    folder = scene.folder / "published"
    missed, trials = [], 0
    while trials < TRIALS["tiles"]:
        done, named = change_file(folder, dice, lambda name: f"{name}{dice.randrange(1000):03d}")
        if files(scene.folder) == scene.good:
            continue
        trials += 1
        if not any(problem.startswith(f"tiles: {named}: ") for problem in scene.published_problems()):
            missed.append(done)
        scene.restore()
    assert missed == []


# --- an operator who can sign


def test_a_rewritten_and_newly_signed_log_is_caught_by_one_honest_witness(tmp_path: Path) -> None:
    """Tables, tree, checkpoints and the published copy all agree; only somebody's memory does not."""
    other_folder = tmp_path / "other"
    other_folder.mkdir()
    with AuditLog(f"sqlite:///{tmp_path / 'control.db'}") as log:
        room = Room(tmp_path, log)
        room.found(only=frozenset(_WITNESSES))
        room.grow(3)
        room.publish()
        room.witness("data_provider.auditor")
        forged = rewritten(room, other_folder, without=log.size - 2)
        forged.grow(3)
        forged.publish()
        with forged.log:
            verify_log(forged.log, forged.checkpoints, forged.operator.public).require()
            _, problems = verify_tiles.check(forged.log, forged.published, forged.operator.public)
            assert problems == ()
            with pytest.raises(IntegrityError) as caught:
                room.witness("data_provider.auditor", source=forged.published)
    assert caught.value.code == "witness.rewritten"
    assert caught.value.exit_code == 4
