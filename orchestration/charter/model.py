"""The charter as a document: every section, frozen, unknown keys refused, dates as dates.

Belongs here: the shape of each clause and lookups by name.
Must not be here: rules between clauses (`checks`), what a clause compiles to (`enforcement`), YAML.
A `Charter` that came from `load_charter` has passed all of them; one built by hand has not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Annotated, Literal, TypeVar, get_args

from pydantic import Field as Spec
from pydantic import JsonValue, StringConstraints

from orchestration.charter.anonymity import AnonymityFloor, DatasetAnonymity
from orchestration.charter.clause import Place
from orchestration.charter.data_rights import ConsentRule as ConsentRule
from orchestration.charter.data_rights import Withdrawal as Withdrawal
from orchestration.charter.entities import EntityName
from orchestration.charter.fields import Band as Band  # re-exported: one module shows the whole document
from orchestration.charter.fields import Clamp as Clamp
from orchestration.charter.fields import Clause, Day, Days, Flag, MemberId, Slug, Text, Whole
from orchestration.charter.fields import Drop as Drop
from orchestration.charter.fields import Field as Field
from orchestration.charter.fields import FieldClassification as FieldClassification
from orchestration.charter.fields import Generalize as Generalize
from orchestration.charter.fields import Pass as Pass
from orchestration.charter.fields import Pseudonymize as Pseudonymize
from orchestration.charter.fields import Technique as Technique
from orchestration.charter.governance import DEFAULT_RIGHT as DEFAULT_RIGHT
from orchestration.charter.governance import ChecklistItem as ChecklistItem
from orchestration.charter.governance import DecisionRight as DecisionRight
from orchestration.charter.governance import Matter as Matter
from orchestration.charter.governance import Maturity as Maturity
from orchestration.charter.governance import Panel as Panel
from orchestration.charter.governance import Remedy as Remedy
from orchestration.charter.governance import Responsibility as Responsibility
from orchestration.charter.governance import Term as Term
from orchestration.charter.governance import Witnesses as Witnesses
from orchestration.charter.quality import Quality as Quality
from orchestration.charter.taxonomy import CLASSES, FieldClass
from orchestration.digests import digest_json
from orchestration.errors import CharterError, Reason

UNKNOWN_NAME = Reason(
    "charter.unknown_name",
    "The charter of {collaboration} names no {kind} {name}.",
    "Use one it names: {known}.",
)

Role = Literal[
    "operator",
    "owner",
    "contributor",
    "analyst",
    "receiver",
    "steward",
    "reviewer",
    "auditor",
    "executive",
    "service",
]
Detail = Literal["full", "summary"]
DatasetClassification = Literal["personal", "commercial", "public"]
LawfulBasis = Literal[
    "consent",
    "contract",
    "legal_obligation",
    "vital_interests",
    "public_task",
    "legitimate_interests",
    "not_personal_data",
]
OutputFormat = Literal["parquet", "csv", "json", "vega_lite", "png"]

Deidentify = Literal["at_source", "in_room"]

Threshold = Annotated[Whole, Spec(ge=2, le=1_000_000)]
SpdxId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9.+-]{0,63}$")]
# One path of a clause, such as `retention.releases_days`; `*` stands for any one name.
ClausePath = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*(\.([A-Za-z0-9_]+|\*)){0,7}$")]


class Member(Clause):
    """A person or service that acts for a participant. Its public key is registered in the log."""

    id: MemberId = Spec(description="<participant>.<name>")
    name: Text
    roles: tuple[Role, ...] = Spec(min_length=1)


class Participant(Clause):
    """An organization of the collaboration."""

    id: Slug
    name: Text
    description: Text
    jurisdiction: Place | None = Spec(
        None, description="The country (ISO 3166-1 alpha-2) whose law it acts under; residency asks for it."
    )
    responsibilities: tuple[Text, ...] = Spec(min_length=1)
    members: tuple[Member, ...] = Spec(min_length=1, max_length=200)


class Licence(Clause):
    """On what terms the contributor gives the dataset."""

    id: SpdxId = Spec(description="SPDX identifier, or LicenseRef-<name>.")
    terms: Text
    redistribution: Flag


class Period(Clause):
    """The days the data may be about, both included."""

    start: Day = Spec(alias="from")
    end: Day = Spec(alias="until")


class Dataset(Clause):
    """What one participant may give; anything it does not name is dropped or refused at intake."""

    id: Slug
    participant: Slug
    entity: EntityName
    title: Text
    description: Text
    classification: DatasetClassification = Spec(
        description="personal: about a privacy unit; commercial: confidential, about nobody; public."
    )
    purposes: tuple[Slug, ...] = Spec(min_length=1)
    lawful_basis: LawfulBasis
    license: Licence
    period: Period | None = None
    residency: tuple[Place, ...] | None = Spec(
        None,
        min_length=1,
        description="Countries its rows, and what is computed from them, stay in; left out: anywhere.",
    )
    max_rows: Annotated[Whole, Spec(ge=1, le=10**11)]
    max_bytes: Annotated[Whole, Spec(ge=1, le=10**14)]
    threshold: Threshold | None = Spec(None, description="Stricter than the output section, or left out.")
    unique_key: tuple[Slug, ...] = Spec((), description="Attributes that together name a row once.")
    deidentify: Deidentify | None = Spec(
        None,
        description="Where the techniques are applied: at the contributor's desk (default) or in the room.",
    )
    onboarding: tuple[ChecklistItem, ...] = Spec(
        (), max_length=100, description="What the contributor attests before the first delivery."
    )
    attestation_days: Days = Spec(365, description="An attestation is good for so long.")
    consent: ConsentRule | None = Spec(None, description="Whose rows may be used, person by person.")
    anonymity: DatasetAnonymity | None = Spec(
        None, description="The floor its de-identified table must reach; left out: measured only."
    )
    quality: Quality | None = Spec(None, description="What the gate asks of it as a whole.")
    fields: tuple[Field, ...] = Spec(min_length=1, max_length=500)

    @property
    def takes_raw(self) -> bool:
        """Whether raw rows may be delivered; otherwise only what its contributor prepared."""
        return self.deidentify == "in_room"

    @property
    def quasi_identifiers(self) -> tuple[str, ...]:
        """Attributes of the room by which somebody who knows a unit could find its rows.

        Not those that were pseudonymized (a receipt's number): without the key, what is known outside matches
        nothing in the room.
        """
        return self._attributes(lambda found: found.quasi_identifier)

    @property
    def sensitive_attributes(self) -> tuple[str, ...]:
        """Attributes of the room that must not be learned of a unit."""
        return self._attributes(lambda found: found.sensitive)

    def _attributes(self, counts: Callable[[FieldClass], bool]) -> tuple[str, ...]:
        return tuple(
            field.attribute
            for field in self.fields
            if counts(CLASSES[field.classification])
            and field.attribute is not None
            and not isinstance(field.technique, Drop | Pseudonymize)
        )

    def field(self, name: str) -> Field | None:
        """The permitted column of that name, or None: an undeclared column."""
        return next((field for field in self.fields if field.name == name), None)


class Purpose(Clause):
    """A business objective; every request is tied to one."""

    id: Slug
    title: Text
    description: Text


class ProhibitedUse(Clause):
    """What nobody may do with data or insights, whatever else the charter allows."""

    id: Slug
    description: Text
    templates: tuple[Slug, ...] = Spec((), description="Templates this rules out by name.")


class Computation(Clause):
    """An approved template: for which purposes, who may ask, who may receive."""

    template: Slug
    purposes: tuple[Slug, ...] = Spec(min_length=1)
    requesters: tuple[Slug, ...] = Spec(min_length=1, description="Participants.")
    receivers: tuple[Slug, ...] = Spec(min_length=1, description="Participants.")
    threshold: Threshold | None = Spec(None, description="Stricter than the output section, or left out.")
    approval: Slug | None = Spec(None, description="Decision right that each request waits for.")


class RoleDetail(Clause):
    """What each role sees of an insight; a role left out sees nothing."""

    operator: Detail | None = None
    owner: Detail | None = None
    contributor: Detail | None = None
    analyst: Detail | None = None
    receiver: Detail | None = None
    steward: Detail | None = None
    reviewer: Detail | None = None
    auditor: Detail | None = None
    executive: Detail | None = None
    service: Detail | None = None


class AccessRules(Clause):
    """Who may open a release, in which detail, and for how long."""

    detail: RoleDetail
    release_valid_days: Days = Spec(description="A release cannot be opened after this many days.")
    grant_days: Days = Spec(365, description="A role is given for at most this many days.")
    emergency_hours: Annotated[Whole, Spec(ge=1, le=72)] = Spec(
        4, description="An emergency grant lasts at most this long."
    )

    def detail_for(self, roles: Iterable[Role]) -> Detail | None:
        """The most that any of these roles may see; None: nothing."""
        granted = {getattr(self.detail, role) for role in roles}
        return "full" if "full" in granted else "summary" if "summary" in granted else None


class Retention(Clause):
    """After how many days each thing must be gone."""

    contributions_days: Days
    superseded_days: Days | None = Spec(
        None, description="A contribution whose place a newer one took; absent: like any other."
    )
    quarantine_days: Days
    releases_days: Days


class OutputLimits(Clause):
    """What may leave the room at all."""

    aggregation_threshold: Threshold = Spec(description="Fewest privacy units in a cell that is shown.")
    max_cells: Annotated[Whole, Spec(ge=1, le=1_000_000)] = Spec(description="Most cells of one insight.")
    formats: tuple[OutputFormat, ...] = Spec(min_length=1)


class AuditProcedures(Clause):
    """How it is shown afterwards that the charter was kept."""

    checkpoint_minutes: Annotated[Whole, Spec(ge=1, le=10_080)] = Spec(description="Sign the log this often.")
    justification_required: Flag = Spec(description="Opening an insight needs a written reason.")
    lineage: Literal[True] = Spec(description="Every stage writes lineage events; it cannot be switched off.")
    review_days: Days = Spec(description="The auditor reviews log and accesses at least this often.")
    access_review_days: Days = Spec(90, description="Every grant is attested anew this often, or it ends.")
    witnesses: Witnesses | None = Spec(None, description="Who watches that the log is never rewritten.")


class HumanDuty(Clause):
    """Clauses that people keep because no code does, and who answers for them."""

    id: Slug
    owner: Slug | MemberId = Spec(description="A participant or one of its members.")
    duty: Text
    clauses: tuple[ClausePath, ...] = Spec(min_length=1, description="Paths; * stands for any one name.")


Named = TypeVar("Named", Participant, Member, Dataset, Purpose, Computation, DecisionRight)
ALL_REMEDIES: tuple[Remedy, ...] = get_args(Remedy)


class Charter(Clause):
    """One collaboration's agreement; the program everything else is compiled from."""

    collaboration: Slug
    title: Text
    version: Annotated[Whole, Spec(ge=1, le=1_000_000)]
    effective_from: Day
    effective_until: Day
    privacy_unit: Slug = Spec(description="Whose privacy is protected: household, customer, account.")
    maturity: Maturity = "automatic_checks"
    objectives: tuple[Text, ...] = Spec(min_length=1)
    intended_outcomes: tuple[Text, ...] = Spec((), max_length=100)
    eligibility: tuple[ChecklistItem, ...] = Spec(
        (), max_length=100, description="What an organization shows before it joins."
    )
    participants: tuple[Participant, ...] = Spec(min_length=2, max_length=100)
    responsibilities: tuple[Responsibility, ...] = Spec(
        (), max_length=100, description="The matrix of who answers for what between the participants."
    )
    terms: tuple[Term, ...] = Spec((), max_length=100, description="Every member acknowledges them.")
    datasets: tuple[Dataset, ...] = Spec(min_length=1, max_length=200)
    joined_anonymity: AnonymityFloor | None = Spec(
        None, description="The floor of the joined table of privacy units; joining raises the risk."
    )
    purposes: tuple[Purpose, ...] = Spec(min_length=1, max_length=100)
    prohibited_uses: tuple[ProhibitedUse, ...] = Spec(min_length=1, max_length=100)
    computations: tuple[Computation, ...] = Spec(min_length=1, max_length=200)
    decision_rights: tuple[DecisionRight, ...] = Spec(min_length=1, max_length=100)
    review_body: Panel | None = Spec(None, description="Decides disputes, and what rights give to it.")
    ethics_panel: Panel | None = Spec(None, description="Agrees too when a request reads certain classes.")
    remedies: tuple[Remedy, ...] = Spec(ALL_REMEDIES, min_length=1, description="What a dispute may end in.")
    access: AccessRules
    retention: Retention
    withdrawal: Withdrawal | None = Spec(None, description="How data is taken back.")
    output: OutputLimits
    audit: AuditProcedures
    human_duties: tuple[HumanDuty, ...] = Spec((), max_length=200)

    @property
    def document(self) -> JsonValue:
        """The canonical form: what is hashed, signed and registered; absent clauses are left out."""
        dumped: JsonValue = self.model_dump(mode="json", by_alias=True, exclude_none=True)
        return dumped

    @cached_property
    def digest(self) -> str:
        """`sha256:…` of the canonical form: comments and layout of the YAML do not change it."""
        return digest_json(self.document)

    @property
    def members(self) -> tuple[Member, ...]:
        return tuple(member for participant in self.participants for member in participant.members)

    def participant(self, participant_id: str) -> Participant:
        return self._find("participant", participant_id, {each.id: each for each in self.participants})

    def member(self, member_id: str) -> Member:
        return self._find("member", member_id, {each.id: each for each in self.members})

    def participant_of(self, member_id: str) -> Participant:
        """The organization a member acts for."""
        return self.participant(self.member(member_id).id.partition(".")[0])

    def dataset(self, dataset_id: str) -> Dataset:
        return self._find("dataset", dataset_id, {each.id: each for each in self.datasets})

    def purpose(self, purpose_id: str) -> Purpose:
        return self._find("purpose", purpose_id, {each.id: each for each in self.purposes})

    def computation(self, template: str) -> Computation:
        return self._find("computation", template, {each.template: each for each in self.computations})

    def right_for(self, matter: Matter, right_id: str | None = None) -> DecisionRight:
        """The named right; else the first for that matter; else unanimity of all participants.

        A right that names no deciders comes back with every participant as a decider, unless a panel decides.
        Raises: CharterError (`charter.unknown_name`) for a right the charter does not name.
        """
        if right_id is None:
            right = next((each for each in self.decision_rights if matter in each.matters), DEFAULT_RIGHT)
        else:
            known = {DEFAULT_RIGHT.id: DEFAULT_RIGHT} | {each.id: each for each in self.decision_rights}
            right = self._find("decision right", right_id, known)
        if right.deciders or right.body == "review_body":
            return right
        return right.model_copy(update={"deciders": tuple(each.id for each in self.participants)})

    def approval_for(self, template: str) -> str | None:
        """The decision right that requests for this template wait for; None: the charter alone decides.

        Raises: CharterError (`charter.unknown_name`) for a template the charter does not name.
        """
        named = self.computation(template).approval
        if named is None and self.maturity == "manual_approvals":
            return self.right_for("request").id
        return named

    @cached_property
    def terms_digest(self) -> str | None:
        """What a member acknowledges: the digest of all terms. None: there are none."""
        if not self.terms:
            return None
        return digest_json([term.model_dump(mode="json") for term in self.terms])

    def threshold_for(self, template: str, dataset_ids: Iterable[str]) -> int:
        """Fewest privacy units of a shown cell: the strictest of all limits that apply.

        Raises: CharterError (`charter.unknown_name`) for a template or dataset the charter does not name.
        """
        stated = [
            self.computation(template).threshold,
            *(self.dataset(each).threshold for each in dataset_ids),
        ]
        return max(self.output.aggregation_threshold, *(limit or 0 for limit in stated))

    def _find(self, kind: str, name: str, known: dict[str, Named]) -> Named:
        """Raises: CharterError (`charter.unknown_name`)."""
        try:
            return known[name]
        except KeyError:
            raise CharterError(
                UNKNOWN_NAME,
                collaboration=self.collaboration,
                kind=kind,
                name=ascii(name[:64]),
                known=", ".join(known),
            ) from None
