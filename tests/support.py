"""A tiny collaboration for tests: a shop and a panel, three small datasets, and deliveries of any kind.

Belongs here: making a house, rows, and deliveries (also broken ones). Must not be here: assertions about a
stage. Import it as `from support import …`; the fixtures `house` and `refreshed_home` are in `conftest.py`.
"""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb

from orchestration.audit.events import Payload
from orchestration.audit.log import LoggedEvent
from orchestration.charter.model import Charter, Dataset
from orchestration.digests import digest_bytes
from orchestration.house import House
from orchestration.participants.registry import register_member
from orchestration.scope.manifest import Manifest, Period
from orchestration.settings import Settings, load_settings
from orchestration.signing import SigningKey
from orchestration.stages import deidentify, gate, intake, quarantine
from orchestration.stages.recorder import Caller

CALLER = Caller("operator", "test")
COLLABORATION = "tiny"
UNITS = 120

CHARTER = """
collaboration: tiny
title: A shop and a panel
version: 1
effective_from: 2020-01-01
effective_until: 2099-12-31
privacy_unit: household
objectives: [Learn who buys what.]
participants:
  - id: shop
    name: Shop
    description: Sells.
    responsibilities: [Contributes receipts.]
    members:
      - {id: shop.steward, name: Steward, roles: [steward]}
      - {id: shop.analyst, name: Analyst, roles: [analyst]}
      - {id: shop.operator, name: Operator, roles: [operator]}
  - id: panel
    name: Panel
    description: Asks.
    responsibilities: [Contributes profiles.]
    members:
      - {id: panel.steward, name: Steward, roles: [steward]}
      - {id: panel.executive, name: Executive, roles: [executive]}
      - {id: panel.auditor, name: Auditor, roles: [auditor]}
datasets:
  - id: sales
    participant: shop
    entity: transaction
    title: Sales
    description: One row per receipt and product.
    classification: personal
    purposes: [insight, planning]
    lawful_basis: consent
    license: {id: LicenseRef-test, terms: Test only, redistribution: false}
    period: {from: 2024-01-01, until: 2024-12-31}
    max_rows: 100000
    max_bytes: 20000000
    fields:
      - {name: household_id, as: unit, type: string, required: true, max_length: 40,
         classification: direct_identifier, technique: {kind: pseudonymize, domain: household}}
      - {name: basket_id, as: basket, type: string, required: true, max_length: 40,
         classification: quasi_identifier, technique: {kind: pseudonymize, domain: basket}}
      - {name: product_id, as: product, type: string, required: true, max_length: 20,
         classification: behavioural, technique: pass}
      - {name: quantity, as: quantity, type: integer, required: true, minimum: 0, maximum: 1000,
         classification: behavioural, technique: {kind: clamp, low: 0, high: 100}}
      - {name: sales_value, as: amount, type: decimal, required: true, minimum: 0, maximum: 1000,
         classification: behavioural, technique: pass}
      - {name: week, as: week, type: integer, required: true, minimum: 1, maximum: 53,
         classification: behavioural, technique: pass}
      - {name: sold_at, as: occurred_on, type: timestamp, required: true,
         minimum: 2024-01-01, maximum: 2025-01-01,
         classification: quasi_identifier, technique: {kind: generalize, to: day}}
      - {name: reason, type: string, max_length: 200, classification: sensitive, technique: drop}
  - id: products
    participant: shop
    entity: product
    title: Products
    description: One row per product.
    classification: commercial
    purposes: [insight]
    lawful_basis: not_personal_data
    license: {id: LicenseRef-test, terms: Test only, redistribution: false}
    max_rows: 100
    max_bytes: 100000
    unique_key: [product]
    fields:
      - {name: product_id, as: product, type: string, required: true, max_length: 20,
         classification: reference, technique: pass}
      - {name: department, as: department, type: string, required: true, max_length: 40,
         classification: reference, technique: pass}
      - {name: brand, as: brand, type: string, values: [National, Private],
         classification: reference, technique: pass}
  - id: people
    participant: panel
    entity: profile
    title: People
    description: One row per household.
    classification: personal
    purposes: [insight, planning]
    lawful_basis: consent
    license: {id: LicenseRef-test, terms: Test only, redistribution: false}
    max_rows: 1000
    max_bytes: 100000
    unique_key: [unit]
    fields:
      - {name: household_id, as: unit, type: string, required: true, max_length: 40,
         classification: direct_identifier, technique: {kind: pseudonymize, domain: household}}
      - {name: age, as: age, type: string, required: true, values: [young, middle, old],
         classification: quasi_identifier, technique: pass}
      - {name: income, as: income, type: string, values: [low, high],
         classification: sensitive, technique: pass}
purposes:
  - {id: insight, title: Insight, description: Who buys what.}
  - {id: planning, title: Planning, description: Whether to go on.}
prohibited_uses:
  - {id: re_identification, description: Nobody tries to find out who a household is.}
computations:
  - {template: audience_overlap, purposes: [planning], requesters: [shop], receivers: [shop, panel]}
  - {template: joint_segmentation, purposes: [insight], requesters: [shop], receivers: [shop]}
decision_rights:
  - {id: charter_change, decision: A new version., deciders: [shop, panel], quorum: 2}
access:
  detail: {steward: full, analyst: full, executive: summary}
  release_valid_days: 30
retention: {contributions_days: 60, quarantine_days: 30, releases_days: 60}
output:
  aggregation_threshold: 5
  max_cells: 100
  formats: [parquet, csv, json, vega_lite, png]
audit: {checkpoint_minutes: 60, justification_required: true, lineage: true, review_days: 90}
human_duties:
  - {id: participation, owner: shop.steward, duty: Calls.,
     clauses: [participants.*.responsibilities, decision_rights]}
  - {id: lawful, owner: panel.steward, duty: Asks., clauses: [datasets.*.lawful_basis, datasets.*.license]}
  - {id: fair_use, owner: panel.steward, duty: Briefs., clauses: [prohibited_uses, output.formats]}
  - {id: deletion, owner: shop.operator, duty: Deletes., clauses: [retention]}
  - {id: review, owner: panel.auditor, duty: Reads., clauses: [audit.review_days]}
"""

Row = Mapping[str, object]


def household(number: int) -> str:
    """A raw identifier with leading zeros, as real ones have."""
    return f"H{number:06d}"


def sales_rows(units: int = UNITS) -> list[dict[str, object]]:
    """Two purchases of every household."""
    return [
        {
            "household_id": household(unit),
            "basket_id": f"B{unit}-{visit}",
            "product_id": f"0{unit % 7}",
            "quantity": 1 + unit % 3,
            "sales_value": f"{1 + unit % 9}.{visit}5",
            "week": 1 + visit,
            "sold_at": f"2024-01-{1 + unit % 28:02d} 10:15:00",
        }
        for unit in range(units)
        for visit in range(2)
    ]


def people_rows(units: int = UNITS) -> list[dict[str, object]]:
    """One profile per household."""
    ages, incomes = ("young", "middle", "old"), ("low", "high")
    return [
        {"household_id": household(unit), "age": ages[unit % 3], "income": incomes[unit % 2]}
        for unit in range(units)
    ]


def product_rows() -> list[dict[str, object]]:
    brands = ("National", "Private")
    return [
        {"product_id": f"0{n}", "department": f"Department {n}", "brand": brands[n % 2]} for n in range(7)
    ]


ROWS = {"sales": sales_rows, "people": people_rows, "products": product_rows}


def csv_bytes(rows: Sequence[Row], *, newline: str = "\n") -> bytes:
    """Plain CSV: header, no quoting. Values must not need any."""
    names = list(rows[0])
    lines = [",".join(names), *(",".join(str(row[name]) for name in names) for row in rows)]
    return (newline.join(lines) + newline).encode()


def parquet_bytes(query: str, folder: Path) -> bytes:
    """A Parquet file with the rows of a DuckDB query."""
    path = folder / "rows.parquet"
    with duckdb.connect() as connection:
        connection.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet)")
    data = path.read_bytes()
    path.unlink()
    return data


@dataclass
class TinyHouse:
    """A house that serves the tiny charter, with every member's private key at hand."""

    house: House
    charter: Charter
    keys: dict[str, SigningKey] = field(default_factory=dict)
    count: int = 0

    @property
    def root(self) -> Path:
        return self.house.settings.root

    def dataset(self, name: str) -> Dataset:
        return self.charter.dataset(name)

    def landing(self, participant: str) -> Path:
        return self.house.landing(self.charter.collaboration, participant)

    def claims(self, dataset: str, data: bytes, format_: str, rows: int) -> dict[str, Any]:
        """What an honest manifest says, as a JSON object."""
        participant = self.dataset(dataset).participant
        manifest = Manifest(
            collaboration=self.charter.collaboration,
            dataset=dataset,
            participant=participant,
            signer=f"{participant}.steward",
            purposes=self.dataset(dataset).purposes,
            provenance="test",
            period=Period(first=date(2024, 1, 1), last=date(2024, 12, 31)),
            file=f"{dataset}.{format_}",
            format="parquet" if format_ == "parquet" else "csv",
            rows=rows,
            sha256=digest_bytes(data),
            created=datetime.now(UTC).replace(microsecond=0),
        )
        return manifest.model_dump(mode="json")

    def deliver(
        self,
        dataset: str,
        data: bytes | None = None,
        /,
        *,
        rows: int | None = None,
        format_: str = "csv",
        name: str | None = None,
        key: SigningKey | None = None,
        envelope: object = None,
        **claims: object,
    ) -> str:
        """Put a delivery into the landing folder; returns its name.

        Args:
            data: bytes of the file; default: the good rows of the dataset.
            rows: what the manifest says; default: the lines of the CSV after its header.
            key: signs; default: the key of the signer that the manifest names.
            envelope: a manifest document to write as it is, instead of a signed one.
            claims: fields of the manifest to set otherwise.
        """
        if data is None:
            data = csv_bytes(ROWS[dataset]())
        if rows is None:
            rows = max(0, len(data.splitlines()) - 1)
        self.count += 1
        name = f"{dataset}-{self.count}" if name is None else name
        folder = self.landing(self.dataset(dataset).participant) / name
        folder.mkdir()
        said = self.claims(dataset, data, format_, rows) | claims
        if envelope is None:
            signer = key or self.keys[str(said["signer"])]
            envelope = signer.sign(said, "application/vnd.glasshouse.manifest+json")
        (folder / f"{dataset}.{format_}").write_bytes(data)
        document = envelope if isinstance(envelope, bytes) else json.dumps(envelope).encode()
        (folder / "manifest.json").write_bytes(document)
        return name

    def accept(self, dataset: str, delivery: str) -> LoggedEvent:
        return intake.accept(self.house, self.charter, self.dataset(dataset), delivery, CALLER)

    def deidentify(self, dataset: str, contribution: str) -> LoggedEvent:
        return deidentify.deidentify(self.house, self.charter, self.dataset(dataset), contribution, CALLER)

    def gate(self, dataset: str, contribution: str) -> Any:
        return gate.check(self.house, self.charter, self.dataset(dataset), contribution, CALLER)

    def contribute(self, dataset: str, data: bytes | None = None) -> str:
        """Stages 1 to 3 of good rows; returns the contribution's id."""
        logged = self.accept(dataset, self.deliver(dataset, data))
        contribution = logged.event.payload.receipt.subject  # type: ignore[attr-defined]
        self.deidentify(dataset, contribution)
        assert self.gate(dataset, contribution).passed
        return str(contribution)

    def payloads(self, type_: str) -> list[Payload]:
        return [logged.event.payload for logged in self.house.log.events(type=type_)]

    def unsealed(self, sealed: str) -> dict[str, bytes]:
        """The files of a refused delivery by name, opened with the house's quarantine key."""
        return quarantine.unseal(self.house, sealed)

    def everything_on_disk(self) -> bytes:
        """Every byte below the home folder, names of files included."""
        files = sorted(self.root.rglob("*"))
        names = "\n".join(map(str, files)).encode("utf-8", "surrogateescape")
        return names + b"".join(path.read_bytes() for path in files if path.is_file())


def tiny_settings(home: Path, *, charter: str | None = None, **overrides: object) -> Settings:
    """Settings of a house at `home/house` that serves only the tiny charter, or another text of it."""
    charters = home / "charters"
    charters.mkdir(parents=True, exist_ok=True)
    if charter is not None or not (charters / "tiny.yaml").exists():
        (charters / "tiny.yaml").write_text(charter or CHARTER)
    defaults: dict[str, object] = {"home": home / "house", "charters": charters, "duckdb_threads": 1}
    return load_settings(**defaults | {"master_key": None} | overrides)


def make_house(home: Path, *, charter: str | None = None, **overrides: object) -> TinyHouse:
    """A new house; members' keys are derived from member ids, so that another process can sign too."""
    house = House.initialize(tiny_settings(home, charter=charter, **overrides))
    agreed = house.charters[COLLABORATION]
    tiny = TinyHouse(house, agreed, member_keys(agreed))
    for member, key in tiny.keys.items():
        register_member(house.log, agreed, member, key.public, actor="operator")
    return tiny


def open_house(home: Path, **overrides: object) -> TinyHouse:
    """A house that `make_house` made, perhaps in another process or copied from another place."""
    house = House.open(tiny_settings(home, **overrides))
    charter = house.charters[COLLABORATION]
    return TinyHouse(house, charter, member_keys(charter))


def member_keys(charter: Charter) -> dict[str, SigningKey]:
    return {member.id: SigningKey.from_seed(member.id.encode().ljust(32, b".")) for member in charter.members}


def copy_home(source: Path, target: Path) -> Path:
    """A copy of a closed house: the cheap way to start many tests from the same state."""
    shutil.copytree(source, target, symlinks=True)
    return target


def tampered(envelope: Mapping[str, Any], **changes: object) -> dict[str, Any]:
    """An envelope whose payload was changed after it was signed."""
    said = json.loads(base64.b64decode(envelope["payload"])) | changes
    return {**envelope, "payload": base64.b64encode(json.dumps(said).encode()).decode()}
