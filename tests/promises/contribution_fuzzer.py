"""Deliveries that went wrong in a known way: an honest draft, and one to three named mutations of it.

A case is its seed and number: the same two give the same draft, the same mutations and (apart from what age
itself draws by lot) the same bytes. Belongs here: drafts, how a case is drawn, and how a delivery is written
to the landing folder. Must not be here: the mutations (`fuzz_rows`, `fuzz_bytes`, `fuzz_manifest`,
`fuzz_folder`), and what must hold afterwards (`fuzz_oracle`).
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import random
import secrets
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pyrage

from orchestration.engine.duck import quote_name
from orchestration.engine.extension import load_httpfs
from orchestration.engine.fingerprint import fingerprint
from orchestration.scope.manifest import PAYLOAD_TYPE
from orchestration.signing import SigningKey

STEM = "qz7canary"  # in every identifier of every case, and nowhere else on earth
FORMATS = ("csv", "tsv", "ndjson", "parquet", "package")
_DELIMITERS = {"csv": ",", "tsv": "\t"}
_PERSON = {
    "people": ("household_id", "age", "income"),
    "sales": (
        "household_id", "basket_id", "product_id", "quantity", "sales_value", "week", "sold_at",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Rules:
    """What the fuzzer must know of the house to make an honest delivery."""

    keys: dict[str, SigningKey]
    stale: dict[str, SigningKey]  # member → the key that was in force before
    manifests: dict[str, dict[str, Any]]  # dataset → what an honest manifest says
    prepared: dict[str, Any]
    shared_key: bytes
    recipient: pyrage.x25519.Recipient
    outside: Path
    engine: duckdb.DuckDBPyConnection = field(default_factory=lambda: _engine())


@dataclass
class Draft:
    """A delivery in the making. Each mutation changes one thing of it, in the phase it belongs to.

    `touched` are rows that the charter may now refuse, `known` says whether the other rows are still sure to
    be read as they stand, `waits` whether the delivery may lie there unread.
    """

    case: int
    rng: random.Random
    rules: Rules
    dataset: str
    format: str
    columns: list[str]
    rows: list[list[Any]]
    types: dict[str, str] = field(default_factory=dict)
    touched: set[int] = field(default_factory=set)
    known: bool = True
    waits: bool = False
    text: str | None = None
    inner: bytes = b""
    data: bytes = b""
    claims: dict[str, Any] = field(default_factory=dict)
    payload: bytes | None = None
    signer: SigningKey | None = None
    envelope: dict[str, Any] = field(default_factory=dict)
    document: bytes = b""
    name: str = ""
    on_disk: list[Callable[[Path], Path | None]] = field(default_factory=list)

    @property
    def canary(self) -> str:
        return f"{STEM}{self.case:05d}"

    @property
    def steward(self) -> str:
        """Who gives this dataset."""
        return f"{self.rules.manifests[self.dataset]['participant']}.steward"

    @property
    def file(self) -> str:
        """What the file is called on disk, whatever the manifest says."""
        return f"{self.dataset}.parquet.age" if self.format == "package" else f"{self.dataset}.{self.format}"

    def touch_some(self, change: Callable[[list[Any]], None]) -> None:
        """Change a few rows, and remember which."""
        for number in self.rng.sample(range(len(self.rows)), min(len(self.rows), self.rng.randint(1, 3))):
            self.touched.add(number)
            change(self.rows[number])

    def touch_all(self) -> None:
        self.touched = set(range(len(self.rows)))

    def place(self) -> int:
        """A random column."""
        return self.rng.randrange(len(self.columns))


Change = Callable[[Draft], None]
PHASES = ("rows", "text", "inner", "bytes", "claims", "envelope", "document", "folder")


@dataclass(frozen=True)
class Mutation:
    """One idea of what can go wrong, in one phase, for these formats."""

    name: str
    phase: str
    change: Change
    formats: tuple[str, ...] = FORMATS


MUTATIONS: dict[str, Mutation] = {}


def mutation(phase: str, *formats: str) -> Callable[[Change], Change]:
    """Register a function as the mutation of its name."""

    def register(change: Change) -> Change:
        name = change.__name__.removeprefix("_")
        assert name not in MUTATIONS
        MUTATIONS[name] = Mutation(name, phase, change, formats or FORMATS)
        return change

    return register


@dataclass(frozen=True)
class Recipe:
    """How to make a case again."""

    seed: int
    case: int
    dataset: str
    format: str
    names: tuple[str, ...]

    def __str__(self) -> str:
        said = f"seed {self.seed}, case {self.case}: {self.format} of {self.dataset}"
        return f"{said}, {' + '.join(self.names)}"


def recipe(seed: int, case: int) -> Recipe:
    """Draw a case. Each mutation leads one case before any leads a second; up to two others join it."""
    rng = random.Random(f"{seed}/{case}")
    order = sorted(MUTATIONS)
    random.Random(f"{seed}/{case // len(order)}").shuffle(order)
    first = MUTATIONS[order[case % len(order)]]
    format_ = rng.choice(first.formats)
    dataset = "people" if format_ == "package" else rng.choice(("people", "people", "sales"))
    fitting = [each.name for each in MUTATIONS.values() if format_ in each.formats and each != first]
    others = rng.sample(sorted(fitting), rng.choice((0, 0, 1, 1, 2)))
    names = sorted((first.name, *others), key=lambda name: PHASES.index(MUTATIONS[name].phase))
    return Recipe(seed, case, dataset, format_, tuple(names))


def draft(recipe: Recipe, rules: Rules) -> Draft:
    """The delivery of a recipe, complete but for the disk."""
    rng = random.Random(f"{recipe.seed}/{recipe.case}/draft")
    made = Draft(recipe.case, rng, rules, recipe.dataset, recipe.format, [], [])
    _honest_rows(made)

    def apply(phase: str) -> None:
        for name in recipe.names:
            if MUTATIONS[name].phase == phase:
                MUTATIONS[name].change(made)

    apply("rows")
    rows = len(made.rows)
    if made.format in ("csv", "tsv", "ndjson"):
        made.text = _ndjson(made) if made.format == "ndjson" else _csv(made)
        apply("text")
        made.data = made.text.encode("utf-8", "surrogatepass")
    else:
        made.inner = _parquet(made)
        apply("inner")
        made.data = made.inner
        if made.format == "package":
            made.data = pyrage.encrypt(made.inner, [rules.recipient])
    apply("bytes")
    made.claims |= {
        **rules.manifests[made.dataset], "rows": rows, "file": made.file,
        "format": "parquet" if made.format == "package" else made.format,
        "sha256": f"sha256:{hashlib.sha256(made.data).hexdigest()}",
    } | made.claims  # fmt: skip
    apply("claims")
    made.envelope = _sign(made)
    apply("envelope")
    made.document = json.dumps(made.envelope).encode()
    apply("document")
    made.name = f"case-{recipe.case}"
    apply("folder")
    return made


def put(made: Draft, landing: Path) -> Path:
    """Write the delivery, its manifest last; returns where it lies."""
    folder = landing / made.name
    folder.mkdir()
    (folder / made.file).write_bytes(made.data)
    (folder / "manifest.json").write_bytes(made.document)
    for change in made.on_disk:
        folder = change(folder) or folder
    return folder


def _sign(made: Draft) -> dict[str, Any]:
    key = made.signer or made.rules.keys[made.steward]
    if made.payload is None:
        made.payload = json.dumps(made.claims).encode()
    # Signed byte for byte as it is, because not everything here has a canonical form.
    encoded = b"DSSEv1 %d %s %d %s" % (
        len(PAYLOAD_TYPE),
        PAYLOAD_TYPE.encode(),
        len(made.payload),
        made.payload,
    )
    signature = base64.b64encode(key.sign_bytes(encoded)).decode()
    return {
        "payload": base64.b64encode(made.payload).decode(),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [{"keyid": key.key_id, "sig": signature}],
    }


def _honest_rows(made: Draft) -> None:
    rng, count = made.rng, made.rng.randint(5, 40)
    made.columns = list(_PERSON[made.dataset])
    for number in range(count):
        person = f"{made.canary}x{number:02d}"
        if made.dataset == "people":
            row = [person, rng.choice(("young", "middle", "old")), rng.choice(("low", "high", None))]
        else:
            row = [
                person, f"{person}b{rng.randrange(3)}", f"0{rng.randrange(7)}", rng.randrange(100),
                f"{rng.randrange(100)}.{rng.randrange(100):02d}", rng.randint(1, 53),
                f"2024-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d} 10:15:00",
            ]  # fmt: skip
        made.rows.append(row)
    if made.format == "package":
        made.columns = ["unit", "age", "income"]
        for row in made.rows:
            row[0] = hashlib.sha256(row[0].encode()).hexdigest()  # looks like what a desk makes


def _csv(made: Draft) -> str:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=_DELIMITERS[made.format], lineterminator="\n")
    writer.writerow(made.columns)
    writer.writerows([["" if value is None else value for value in row] for row in made.rows])
    return out.getvalue()


def _ndjson(made: Draft) -> str:
    def line(row: list[Any]) -> str:
        pairs = zip(made.columns, row, strict=False)
        return "{" + ", ".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in pairs) + "}"

    return "".join(f"{line(row)}\n" for row in made.rows)


def _parquet(made: Draft) -> bytes:
    """The rows as Parquet; of a package: the key, then the encrypted file, and its manifest's `prepared`."""
    key = secrets.token_bytes(32)
    names = [f"c{i}" for i in range(len(made.columns))]
    casts = ", ".join(
        f"{made.types.get(column, f'{name}::VARCHAR')} AS {quote_name(column)}"
        for name, column in zip(names, made.columns, strict=True)
    )
    connection = made.rules.engine
    with tempfile.TemporaryDirectory() as folder:
        columns = ", ".join(f"{name} VARCHAR" for name in names)
        connection.execute(f"CREATE OR REPLACE TABLE given ({columns})")
        if made.rows:
            marks = ", ".join("?" for _ in names)
            rows = [[None if v is None else str(v) for v in row] for row in made.rows]
            connection.executemany(f"INSERT INTO given VALUES ({marks})", rows)
        connection.execute(f"CREATE OR REPLACE TABLE rows AS SELECT {casts} FROM given")
        path = Path(folder) / "rows.parquet"
        if made.format != "package":
            connection.execute(f"COPY rows TO '{path}' (FORMAT parquet, COMPRESSION zstd)")
            return path.read_bytes()
        connection.execute(
            f"COPY rows TO '{path}' (FORMAT parquet, ENCRYPTION_CONFIG {{footer_key_value: ?}})", [key]
        )
        content = fingerprint(connection, "rows", made.rules.shared_key)[1]
        made.claims["prepared"] = made.rules.prepared | {"content": content}
        return key + path.read_bytes()


def _engine() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    load_httpfs(connection)
    connection.execute("SET threads = 1")
    return connection
