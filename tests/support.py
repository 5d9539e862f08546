"""A tiny collaboration for tests: a shop and a panel, three small datasets, and deliveries of any kind.

Belongs here: making a house, acts of its members, rows, and deliveries (also broken ones). Must not be here:
assertions about a stage. The fixtures `house` and `refreshed_home` are in `conftest.py`.
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
import pyrage

from orchestration.audit.events import Event
from orchestration.audit.governance_events import Verdict, VoteCast
from orchestration.audit.log import LoggedEvent
from orchestration.audit.statement import sign
from orchestration.audit.vocabulary import Payload
from orchestration.charter import load_charter
from orchestration.charter.model import Charter, Dataset
from orchestration.digests import digest_bytes
from orchestration.house import House
from orchestration.scope.manifest import Manifest, Period
from orchestration.settings import Settings, load_settings
from orchestration.signing import SigningKey
from orchestration.stages import access, deidentify, gate, governance, intake, request
from orchestration.stages.access import OpenedInsight
from orchestration.stages.founding import found
from orchestration.stages.recorder import Caller
from orchestration.stages.request import Submitted
from tests.tiny_charter import CHARTER as CHARTER

CALLER = Caller("operator", "test")
COLLABORATION = "tiny"
UNITS = 120

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

    def key(self, member: str) -> SigningKey:
        return self.keys[member]

    def signed(self, member: str, subject: str, payload: Payload, why: str = "test", **options: Any) -> Event:
        """An act as its member would sign it."""
        event = Event(
            collaboration=self.charter.collaboration,
            subject=subject,
            actor=member,
            justification=why,
            payload=payload,
        )
        return sign(event, self.key(member), **options)

    def act(self, member: str, subject: str, payload: Payload, why: str = "test") -> list[LoggedEvent]:
        """Record an act of a member, and everything that follows from it."""
        return governance.act(self.house, self.signed(member, subject, payload, why))

    def vote(self, decision: str, *members: str, vote: Verdict = "approve") -> None:
        for member in members:
            self.act(member, decision, VoteCast(decision=decision, vote=vote))

    def amend(self, old: str, new: str, /) -> None:
        """Agree on the next version of the charter, with one text replaced by another."""
        path = self.house.settings.charters / "tiny.yaml"
        text = path.read_text()
        assert old in text
        version = self.charter.version
        text = text.replace(f"version: {version}", f"version: {version + 1}").replace(old, new)
        path.write_text(text)
        found(self.house, load_charter(path), self.keys)
        self.charter = self.house.charter(COLLABORATION)

    def request(
        self,
        template: str = "joint_segmentation",
        parameters: Mapping[str, str] | None = None,
        purpose: str = "insight",
        requester: str = "shop.analyst",
        why: str = "test",
    ) -> Submitted:
        """Ask; by default for segments by age and income."""
        if parameters is None:
            parameters = {"rows": "age", "columns": "income"} if template == "joint_segmentation" else {}
        return request.submit(
            self.house,
            self.charter,
            template=template,
            parameters=parameters,
            purpose=purpose,
            requester=requester,
            justification=why,
            key=self.keys.get(requester, SigningKey.generate()),
        )

    def open(self, release_id: str, member: str = "shop.analyst", why: str = "To read it.") -> OpenedInsight:
        key = self.keys.get(member, SigningKey.generate())
        return access.open_insight(self.house, release_id, member, why, key)

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

    def unsealed(self, sealed: str, steward: str | None = None) -> dict[str, bytes]:
        """The files of a refused delivery by name, opened with the steward's key.

        Args:
            steward: default: the first of those that its refusal names.
        """
        (refused,) = (each for each in self.payloads("contribution.refused") if each.sealed == sealed)  # type: ignore[attr-defined]
        key = self.key(steward or refused.sealed_for[0])  # type: ignore[attr-defined]
        identities = [pyrage.ssh.Identity.from_buffer(key.openssh())]
        folder = self.house.quarantine / sealed
        names = json.loads(pyrage.decrypt((folder / "names.age").read_bytes(), identities))
        return {
            original: pyrage.decrypt((folder / f"{number}.age").read_bytes(), identities)
            for number, original in enumerate(names)
        }

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
    """A new house whose collaboration was founded: proposed, accepted, enrolled and signed by its members.

    Members' keys are derived from member ids, so that another process can sign too.
    """
    house = House.initialize(tiny_settings(home, charter=charter, **overrides))
    proposal = house.charters[COLLABORATION]
    keys = member_keys(proposal)
    found(house, proposal, keys)
    return TinyHouse(house, house.charters[COLLABORATION], keys)


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
