"""A house with a whole collaboration in its log, written without running any stage: what the portal shows.

Everything goes through `AuditLog.append` with the event models, and the lineage of the dbt models is traced
from their real SQL, so the pages meet the shapes they meet in a real house. No figure here is real.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

from jinja2 import Environment
from pydantic import JsonValue
from ruamel.yaml import YAML
from starlette.testclient import TestClient

from orchestration.audit import checkpoint, lineage
from orchestration.audit import lineage_datasets as ld
from orchestration.audit.column_lineage import trace_query
from orchestration.audit.events import Event
from orchestration.audit.governance_events import (
    CharterActivated,
    CharterProposed,
    CharterSigned,
    MemberEnrolled,
    ParticipantAccepted,
)
from orchestration.audit.lineage_datasets import Column, Dataset
from orchestration.audit.log import AuditLog, LoggedEvent
from orchestration.audit.stage_events import (
    AccessDenied,
    ComputationRun,
    ContributionAccepted,
    ContributionRefused,
    DatasetDeidentified,
    GateCheck,
    GatePassed,
    OutputAccessed,
    OutputGenerated,
    OutputReleased,
    RequestDecided,
    RequestSubmitted,
    RoomRefreshed,
)
from orchestration.audit.vocabulary import Payload, Stage, StageReceipt, now
from orchestration.charter import ENTITIES, Charter
from orchestration.digests import digest_bytes
from orchestration.house import House
from orchestration.portal import create_app
from orchestration.portal.entrance import COOKIE
from orchestration.portal.sessions import Sessions
from orchestration.settings import PROJECT_ROOT, load_settings
from orchestration.stages.login import Entered

GROCERY = "grocery"
ROWS = {
    "transactions": 1_469_307,
    "products": 92_331,
    "campaigns": 6_589,
    "campaign_descriptions": 27,
    "coupons": 116_204,
    "coupon_redemptions": 2_102,
    "promotions": 20_940_529,
    "demographics": 801,
}
QUESTIONS = {
    # template → (requester, purpose, parameters, cells shown, primary, complementary)
    "audience_overlap": ("media_owner", "collaboration_planning", {"left": "shoppers"}, 8, 0, 0),
    "joint_segmentation": (
        "brand_agency",
        "customer_insight",
        {"rows": "age", "columns": "income"},
        39,
        34,
        8,
    ),
    "campaign_response": ("brand_agency", "campaign_effectiveness", {"by": "campaign_type"}, 4, 0, 0),
}
HOSTILE = "<script>alert(1)</script>"
_MODELS = PROJECT_ROOT / "dbt_project" / "models"
_RUN = "0198f0c2-0000-7000-8000-{:012d}"


def empty_house(home: Path) -> House:
    """A house after `glasshouse init`, whose log takes any event: the story below is nobody's signed word."""
    settings = load_settings(home=home, charters=PROJECT_ROOT / "charters")
    house = House.initialize(settings)
    house.log.close()
    return replace(house, log=AuditLog(settings.control_url))


def populated_house(home: Path) -> House:
    """Eight datasets through all stages, three insights, one denied request and one refused delivery."""
    house = empty_house(home)
    Story(house).tell()
    return house


def client_of(
    house: House, member: str | None = "data_provider.auditor", collaboration: str = GROCERY
) -> TestClient:
    """A client signed in as `member`, or as nobody; errors of the server arrive as pages."""
    sessions = Sessions()
    client = TestClient(
        create_app(house, sessions), base_url="http://127.0.0.1:8321", raise_server_exceptions=False
    )
    if member is not None:
        client.cookies.set(COOKIE, sessions.begin(entered(house, member, collaboration)))
    return client


def entered(house: House, member: str, collaboration: str = GROCERY) -> Entered:
    """The member, come in with the key it has."""
    with house.state(collaboration) as state:
        key = state.active_key(member)
    return Entered(collaboration, member, key_id=key.id if key else None)


@dataclass
class Story:
    """Writes the log in the order in which things would have happened."""

    house: House

    def __post_init__(self) -> None:
        self.charter: Charter = self.house.charter(GROCERY)
        self._numbers = count(1)
        self._clock = now() - timedelta(minutes=20)

    def tell(self) -> None:
        self.found()
        gates = {dataset.id: self.contribute(dataset.id) for dataset in self.charter.datasets}
        self.refuse_delivery()
        checkpoint.make(self.house.log, self.house.operator, self.house.checkpoints)
        room = self.refresh(gates)
        for template in QUESTIONS:
            self.release(template, room)
        self.deny()
        checkpoint.make(self.house.log, self.house.operator, self.house.checkpoints)
        self.open_insight("campaign_response")

    def say(
        self,
        subject: str,
        actor: str,
        payload: Payload,
        justification: str = "",
        lineage_events: Sequence[lineage.LineageEvent] = (),
    ) -> LoggedEvent:
        self._clock += timedelta(seconds=7)
        event = Event(
            collaboration=GROCERY,
            subject=subject,
            actor=actor,
            justification=justification,
            time=self._clock,
            payload=payload,
        )
        return self.house.log.append(event, lineage=lineage_events)

    def receipt(self, stage: Stage, subject: str, *inputs: LoggedEvent) -> StageReceipt:
        return StageReceipt(
            stage=stage,
            subject=subject,
            charter_digest=self.charter.digest,
            inputs=tuple(each.receipt_id for each in inputs),
            outputs={"table": digest_bytes(f"{stage} {subject}".encode())},
            run_id=_RUN.format(next(self._numbers)),
        )

    def found(self) -> None:
        """Proposed, accepted by four stewards, everybody enrolled, signed by all, active."""
        charter = self.charter
        until = datetime(2027, 12, 31, tzinfo=UTC)
        document = CharterProposed(
            digest=charter.digest, title=charter.title, version=charter.version, document=charter.document
        )
        self.say(GROCERY, "operator", document, "Agreed on by the four stewards.")
        stewards = {f"{each.id}.steward": _key(f"{each.id}.steward") for each in charter.participants}
        for steward, key in stewards.items():
            participant = steward.partition(".")[0]
            accepted = ParticipantAccepted(participant=participant, steward=steward, public_key=key)
            self.say(participant, steward, accepted, "We take part.")
        for member in charter.members:
            if member.id not in stewards:
                enrolled = MemberEnrolled(
                    member=member.id,
                    roles=member.roles,
                    public_key=_key(member.id),
                    proof="-",
                    expires_at=until,
                )
                self.say(member.id, f"{member.id.partition('.')[0]}.steward", enrolled, "Works for us.")
        compared = {steward: str(key["keyid"]) for steward, key in stewards.items()}
        for steward in stewards:
            participant = steward.partition(".")[0]
            signed = CharterSigned(digest=charter.digest, participant=participant, stewards=compared)
            self.say(GROCERY, steward, signed, "Read and compared.")
        self.say(GROCERY, "operator", CharterActivated(digest=charter.digest), "All have signed.")

    def contribute(self, dataset_id: str) -> LoggedEvent:
        dataset = self.charter.dataset(dataset_id)
        contribution = f"{dataset_id}-{digest_bytes(dataset_id.encode())[7:19]}"
        steward = f"{dataset.participant}.steward"
        accepted = self.say(
            contribution,
            steward,
            ContributionAccepted(
                receipt=self.receipt("contribution", contribution),
                dataset=dataset_id,
                participant=dataset.participant,
                delivery=f"{dataset_id}-2017",
                rows=ROWS[dataset_id],
                quarantined_rows={"contribution.value_out_of_range": 14}
                if dataset_id == "promotions"
                else {},
                source_digest=digest_bytes(f"source {dataset_id}".encode()),
                vault_digest=digest_bytes(f"vault {dataset_id}".encode()),
                key_id=f"vault/{contribution}",
                signer=f"{dataset.participant}.steward",
                purposes=dataset.purposes,
                manifest={"payload": "e30=", "payloadType": "manifest", "signatures": []},
            ),
            "Delivery of the year 2017, as agreed.",
            self.run("contribution", dataset_id, (), [_contribution(self.charter, dataset_id)]),
        )
        table = f"deidentified.{contribution.replace('-', '_')}"
        deidentified = self.say(
            contribution,
            "operator",
            DatasetDeidentified(
                receipt=self.receipt("deidentified", contribution, accepted),
                dataset=dataset_id,
                contribution=contribution,
                table=table,
                rows=ROWS[dataset_id],
                techniques={field.attribute or field.name: field.technique.kind for field in dataset.fields},
            ),
            "The landing sensor saw the delivery.",
            self.run(
                "deidentified",
                dataset_id,
                [_contribution(self.charter, dataset_id)],
                [_deidentified(self.charter, dataset_id)],
            ),
        )
        return self.say(
            contribution,
            "operator",
            GatePassed(
                receipt=self.receipt("gate", contribution, deidentified),
                dataset=dataset_id,
                contribution=contribution,
                table=table,
                suite_digest=digest_bytes(dataset.entity.encode()),
                checks=tuple(
                    GateCheck(
                        rule=f"{dataset_id}.r{number:02d}_{field.attribute}_not_null",
                        expectation="expect_column_values_to_not_be_null",
                        column=field.attribute,
                        passed=True,
                    )
                    for number, field in enumerate(dataset.fields, 1)
                ),
            ),
        )

    def refuse_delivery(self) -> None:
        payload = ContributionRefused(
            dataset="coupons",
            participant="brand_agency",
            delivery="coupons-second-try",
            code="contribution.missing_column",
            message="The file has no column campaign_id, which the charter requires.",
            next_step="Deliver the file with all columns the charter names, then sign it again.",
            rows=116_204,
            sealed="coupons-second-try.age",
        )
        self.say("coupons-5e0d7c1f22aa", "brand_agency.steward", payload, "Corrected coupon list.")

    def refresh(self, gates: dict[str, LoggedEvent]) -> LoggedEvent:
        datasets = {dataset.entity: dataset.id for dataset in self.charter.datasets}
        contributions = {name: logged.event.subject for name, logged in gates.items()}
        payload = RoomRefreshed(
            receipt=self.receipt("room", GROCERY, *gates.values()),
            tables={entity: (contributions[name],) for entity, name in datasets.items()},
        )
        admitted = [_admitted(self.charter, entity, name) for entity, name in datasets.items()]
        events = self.run("room", GROCERY, [_deidentified(self.charter, n) for n in gates], admitted)
        for inputs, output in _models(["staging", "intermediate"]):
            events += self.run("room", output.name, inputs, [output])
        return self.say(GROCERY, "operator", payload, "All gates have passed.", events)

    def submit(self, template: str, requester: str, purpose: str, parameters: dict[str, str]) -> str:
        request = f"r-{digest_bytes(f'{template}{requester}'.encode())[7:15]}"
        member = f"{requester}.analyst"
        payload = RequestSubmitted(
            template=template,
            parameters=dict(parameters),
            purpose=purpose,
            requester=member,
            participant=requester,
        )
        self.say(request, member, payload, "For the campaign review of the second quarter.")
        return request

    def release(self, template: str, room: LoggedEvent) -> None:
        requester, purpose, parameters, shown, primary, complementary = QUESTIONS[template]
        request = self.submit(template, requester, purpose, parameters)
        permitted = RequestDecided(allowed=True, message="The charter permits it.")
        self.say(request, "operator", permitted)
        (inputs, cells), *_ = _models(["cells"], only=template)
        computed = self.say(
            request,
            "operator",
            ComputationRun(
                receipt=self.receipt("cells", request, room),
                request=request,
                template=template,
                template_digest=digest_bytes(template.encode()),
            ),
            lineage_events=self.run("cells", template, inputs, [cells]),
        )
        protected = _protected(template, cells)
        generated = self.say(
            request,
            "operator",
            OutputGenerated(
                receipt=self.receipt("protected", request, computed),
                request=request,
                template=template,
                threshold=10,
                cells_shown=shown,
                cells_primary=primary,
                cells_complementary=complementary,
            ),
            lineage_events=self.run("protected", template, [cells], [protected]),
        )
        insight = Dataset(
            protected.namespace,
            f"insight.{template}",
            protected.columns,
            ld.identity_edges(protected.name, [column.name for column in protected.columns]),
        )
        self.say(
            request,
            "operator",
            OutputReleased(
                receipt=self.receipt("insight", request, generated),
                request=request,
                release=f"rel-{request[2:]}",
                template=template,
                purpose=purpose,
                receivers=self.charter.computation(template).receivers,
                files={"table.csv": digest_bytes(request.encode())},
                expires_at=self._clock + timedelta(days=90),
            ),
            lineage_events=self.run("insight", template, [protected], [insight]),
        )

    def deny(self) -> None:
        request = self.submit("joint_segmentation", "media_owner", "collaboration_planning", {"rows": "age"})
        payload = RequestDecided(
            allowed=False,
            code="request.requester",
            message=f"The charter does not let media_owner request joint_segmentation. {HOSTILE}",
        )
        self.say(request, "operator", payload)

    def open_insight(self, template: str) -> None:
        requester = QUESTIONS[template][0]
        release = f"rel-{digest_bytes(f'{template}{requester}'.encode())[7:15]}"
        opened = OutputAccessed(release=release, member="brand_agency.analyst", detail="full")
        self.say(release, "brand_agency.analyst", opened, "Planning the third quarter.")
        denied = AccessDenied(release=release, member="data_provider.steward", code="access.not_a_receiver")
        self.say(release, "data_provider.steward", denied, "=HYPERLINK(0)")

    def run(
        self, stage: Stage, name: str, inputs: Iterable[Dataset], outputs: Iterable[Dataset]
    ) -> list[lineage.LineageEvent]:
        run = lineage.StageRun(
            run_id=lineage.new_run_id(),
            stage=stage,
            job_name=f"{stage}.{name.rpartition('.')[2]}",
            collaboration=GROCERY,
            charter_digest=self.charter.digest,
        )
        inputs = list(inputs)
        return [
            lineage.started(run, inputs, at=self._clock),
            lineage.completed(run, inputs, list(outputs), at=self._clock),
        ]


def _key(member: str) -> dict[str, JsonValue]:
    return {"keyid": digest_bytes(member.encode())[7:], "keytype": "ed25519"}


def _contribution(charter: Charter, dataset_id: str) -> Dataset:
    dataset = charter.dataset(dataset_id)
    return Dataset(
        ld.participant_namespace(GROCERY, dataset.participant),
        f"contribution.{dataset_id}",
        tuple(Column(field.name, "VARCHAR", field.classification) for field in dataset.fields),
        rows=ROWS[dataset_id],
    )


def _deidentified(charter: Charter, dataset_id: str) -> Dataset:
    dataset = charter.dataset(dataset_id)
    kept = [field for field in dataset.fields if field.technique.kind != "drop"]
    types = ENTITIES[dataset.entity].attributes
    return Dataset(
        ld.room_namespace(GROCERY),
        f"deidentified.{dataset_id}",
        tuple(Column(str(field.attribute), types[str(field.attribute)]) for field in kept),
        ld.deidentified_edges(dataset_id, kept),  # type: ignore[arg-type]  # kept fields have an attribute
        rows=ROWS[dataset_id],
    )


def _admitted(charter: Charter, entity: str, dataset_id: str) -> Dataset:
    source = _deidentified(charter, dataset_id)
    return Dataset(
        ld.room_namespace(GROCERY),
        f"admitted.{entity}",
        tuple(Column(name, kind) for name, kind in ENTITIES[entity].attributes.items()),  # type: ignore[index]
        ld.admitted_edges({source.name: [column.name for column in source.columns]}),
    )


def _protected(template: str, cells: Dataset) -> Dataset:
    figures = [column.name for column in cells.columns if column.type.startswith(("bigint", "decimal"))]
    dimensions = [
        column.name
        for column in cells.columns
        if column.name not in figures and not column.name.endswith("_is_total")
    ]
    measures = {name: name if name.endswith("units") else figures[0] for name in figures}
    columns = [*cells.columns, Column("status", "VARCHAR"), Column("reason", "VARCHAR")]
    return Dataset(
        ld.shelf_namespace(GROCERY),
        f"protected.{template}",
        tuple(column for column in columns if not column.name.endswith("_is_total")),
        ld.protected_edges(cells.name, dimensions, measures, ("status", "reason")),
    )


def _models(layers: Sequence[str], only: str = "") -> Iterator[tuple[list[Dataset], Dataset]]:
    """(what it reads, the model) for the dbt models of these layers, traced from their SQL."""
    columns: dict[str, tuple[Column, ...]] = {
        f"admitted.{entity.name}": tuple(Column(name, kind) for name, kind in entity.attributes.items())
        for entity in ENTITIES.values()
    }
    for path in sorted(_MODELS.glob("*/*.yml")):
        for model in YAML(typ="safe").load(path).get("models", []):
            described = (Column(each["name"], each["data_type"]) for each in model["columns"])
            columns[f"{path.parent.name}.{model['name']}"] = tuple(described)
    schemas = {name: {column.name: column.type for column in found} for name, found in columns.items()}
    relations = {name.partition(".")[2]: name for name in columns}
    room = ld.room_namespace(GROCERY)
    for layer in layers:
        for path in sorted((_MODELS / layer).glob("*.sql")):
            if only and only not in path.stem:
                continue
            sql = (
                Environment()
                .from_string(path.read_text())
                .render(
                    source=lambda schema, table: f"{schema}.{table}",
                    ref=relations.__getitem__,
                    parameter=lambda _name, choices: choices[-1],
                )
            )
            found = trace_query(sql, schemas, model=path.stem)
            name = f"{layer}.{path.stem.removeprefix('cells_')}"
            inputs = [Dataset(room, source, columns[source]) for source in found.tables]
            yield inputs, Dataset(room, name, columns[f"{layer}.{path.stem}"], found.edges)
