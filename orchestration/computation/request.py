"""Requests: an approved computation, with its parameters, for a purpose, by a member; and whether it may run.

Belongs here: the rules between a request and a charter, each with its own reason. Default deny: a request is
permitted only after every rule was asked. Must not be here: running anything, and who approves what.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from orchestration.charter.model import Charter, Computation, Dataset
from orchestration.computation.template import Template
from orchestration.errors import ConfigError, Reason
from orchestration.participants.decision import Decision

MALFORMED = Reason(
    "request.malformed",
    "This is not a request: {field} is missing or not written as a name.",
    "Write names in lower case as the charter and the template do; `glasshouse request --help` shows how.",
)
OTHER_COLLABORATION = Reason(
    "request.other_collaboration",
    "The request is for {asked}, but the charter is that of {collaboration}.",
    "Send the request to the collaboration it is for.",
)
NOT_IN_EFFECT = Reason(
    "request.charter_not_in_effect",
    "The charter of {collaboration} is in effect from {start} until {end}, not today.",
    "Wait until it is in effect, or agree on a new version.",
)
UNKNOWN_REQUESTER = Reason(
    "request.unknown_requester",
    "{requester} is no member of {collaboration}.",
    "Ask as a member the charter names, or have one added to a new version.",
)
NOT_ANALYST = Reason(
    "request.not_an_analyst",
    "{requester} does not have the role analyst.",
    "Have an analyst of {participant} ask.",
)
UNKNOWN_TEMPLATE = Reason(
    "request.unknown_template",
    "There is no template {template}.",
    "Use one of: {known}.",
)
TEMPLATE_PROHIBITED = Reason(
    "request.template_prohibited",
    "The charter prohibits {template} ({use}).",
    "Ask for a computation the charter allows.",
)
TEMPLATE_NOT_AGREED = Reason(
    "request.template_not_agreed",
    "The charter does not name {template} among its computations.",
    "Use one of: {known}; or agree on a new version of the charter.",
)
PARTICIPANT_NOT_REQUESTER = Reason(
    "request.participant_not_requester",
    "{participant} may not ask for {template}.",
    "Have one of these ask: {known}.",
)
UNKNOWN_PURPOSE = Reason(
    "request.unknown_purpose",
    "The charter names no purpose {purpose}.",
    "Use one of: {known}.",
)
PURPOSE_NOT_AGREED = Reason(
    "request.purpose_not_agreed",
    "{template} is not agreed for the purpose {purpose}.",
    "Use one of: {known}.",
)
UNKNOWN_PARAMETER = Reason(
    "request.unknown_parameter",
    "{template} has no parameter {parameter}.",
    "Use only: {known}.",
)
UNKNOWN_CHOICE = Reason(
    "request.unknown_choice",
    "The parameter {parameter} of {template} cannot be {choice}.",
    "Use one of: {known}.",
)
SAME_CHOICE = Reason(
    "request.same_choice",
    "The parameters {parameters} of {template} must differ from each other.",
    "Choose another value for one of them.",
)
NO_DATASET = Reason(
    "request.no_dataset",
    "{template} reads {entity}, and the charter names no dataset that gives it.",
    "Choose other parameters, or agree on a charter with such a dataset.",
)
DATASET_PURPOSE = Reason(
    "request.dataset_purpose",
    "The dataset {dataset} was not given for the purpose {purpose}.",
    "Use a purpose that all datasets of this computation share, or agree on a new version of the charter.",
)

RequestId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=64)]
_Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_.-]{0,127}$")]


class Request(BaseModel):
    """What somebody asks for. Its texts are names, so that they may stand in the log and in messages."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: RequestId
    collaboration: _Name
    template: _Name
    parameters: dict[_Name, _Name] = Field(default_factory=dict, max_length=20)
    purpose: _Name
    requester: _Name = Field(description="Member id: <participant>.<name>.")

    @property
    def participant(self) -> str:
        """The organization the requester says to act for."""
        return self.requester.partition(".")[0]


def parse_request(document: Mapping[str, object]) -> Request:
    """A request from what somebody wrote.

    Raises: ConfigError (`request.malformed`), naming the field and not what stood in it.
    """
    try:
        return Request.model_validate(document)
    except ValidationError as error:
        field = str(error.errors(include_input=False, include_url=False)[0]["loc"][0])
        known = field if field in Request.model_fields else "a field it does not have"
        raise ConfigError(MALFORMED, field=known) from None


def datasets_read(charter: Charter, template: Template, parameters: Mapping[str, str]) -> tuple[Dataset, ...]:
    """The charter's datasets that the answer to these (valid) parameters rests on."""
    entities = template.entities(parameters)
    return tuple(each for each in charter.datasets if each.entity in entities)


def check_request(
    charter: Charter, templates: Mapping[str, Template], request: Request, today: date
) -> Decision:
    """May this run? The first rule that denies is the answer; permitted when none does."""
    template = templates.get(request.template)
    if template is None:
        return Decision.deny(UNKNOWN_TEMPLATE, template=request.template, known=_list(templates))
    case = _Case(charter, template, request, today)
    for rule in _RULES:
        for denial in rule(case):
            return denial
    return Decision.permit(
        f"{request.requester} may run {request.template} for the purpose {request.purpose}, "
        f"under version {charter.version} of the charter."
    )


@dataclass(frozen=True)
class _Case:
    """What every rule looks at."""

    charter: Charter
    template: Template
    request: Request
    today: date

    @property
    def computation(self) -> Computation | None:
        asked = self.template.id
        return next((each for each in self.charter.computations if each.template == asked), None)


def _charter_is_in_effect(case: _Case) -> Iterator[Decision]:
    charter = case.charter
    if case.request.collaboration != charter.collaboration:
        yield Decision.deny(
            OTHER_COLLABORATION, asked=case.request.collaboration, collaboration=charter.collaboration
        )
    if not charter.effective_from <= case.today <= charter.effective_until:
        yield Decision.deny(
            NOT_IN_EFFECT,
            collaboration=charter.collaboration,
            start=charter.effective_from,
            end=charter.effective_until,
        )


def _requester_is_an_analyst(case: _Case) -> Iterator[Decision]:
    requester = case.request.requester
    member = next((each for each in case.charter.members if each.id == requester), None)
    if member is None:
        yield Decision.deny(UNKNOWN_REQUESTER, requester=requester, collaboration=case.charter.collaboration)
    elif "analyst" not in member.roles:
        yield Decision.deny(NOT_ANALYST, requester=requester, participant=case.request.participant)


def _computation_is_agreed(case: _Case) -> Iterator[Decision]:
    asked, charter = case.template.id, case.charter
    for use in charter.prohibited_uses:
        if asked in use.templates:
            yield Decision.deny(TEMPLATE_PROHIBITED, template=asked, use=use.id)
    if case.computation is None:
        yield Decision.deny(
            TEMPLATE_NOT_AGREED, template=asked, known=_list(each.template for each in charter.computations)
        )
    elif case.request.participant not in case.computation.requesters:
        yield Decision.deny(
            PARTICIPANT_NOT_REQUESTER,
            participant=case.request.participant,
            template=asked,
            known=_list(case.computation.requesters),
        )


def _purpose_is_agreed(case: _Case) -> Iterator[Decision]:
    purpose, purposes = case.request.purpose, [each.id for each in case.charter.purposes]
    agreed = case.computation.purposes if case.computation else ()
    if purpose not in purposes:
        yield Decision.deny(UNKNOWN_PURPOSE, purpose=purpose, known=_list(purposes))
    elif purpose not in agreed:
        yield Decision.deny(
            PURPOSE_NOT_AGREED, template=case.template.id, purpose=purpose, known=_list(agreed)
        )


def _parameters_are_choices(case: _Case) -> Iterator[Decision]:
    template = case.template
    for name, value in case.request.parameters.items():
        parameter = template.parameter(name)
        if parameter is None:
            known = _list(each.name for each in template.parameters)
            yield Decision.deny(UNKNOWN_PARAMETER, template=template.id, parameter=name, known=known)
        elif value not in parameter.choices:
            yield Decision.deny(
                UNKNOWN_CHOICE,
                template=template.id,
                parameter=name,
                choice=value,
                known=_list(parameter.choices),
            )
    values = template.resolve(case.request.parameters)
    if len({values[name] for name in template.distinct}) < len(template.distinct):
        yield Decision.deny(SAME_CHOICE, template=template.id, parameters=_list(template.distinct))


def _datasets_are_given_for_it(case: _Case) -> Iterator[Decision]:
    """Purpose limitation: the datasets behind the answer were given for this purpose too."""
    template, parameters = case.template, case.request.parameters
    datasets = datasets_read(case.charter, template, parameters)
    for entity in template.entities(parameters):
        if entity not in {each.entity for each in datasets}:
            yield Decision.deny(NO_DATASET, template=template.id, entity=entity)
    for dataset in datasets:
        if case.request.purpose not in dataset.purposes:
            yield Decision.deny(DATASET_PURPOSE, dataset=dataset.id, purpose=case.request.purpose)


# In this order; a later rule may rely on the earlier ones having passed.
_RULES: tuple[Callable[[_Case], Iterator[Decision]], ...] = (
    _charter_is_in_effect,
    _requester_is_an_analyst,
    _computation_is_agreed,
    _purpose_is_agreed,
    _parameters_are_choices,
    _datasets_are_given_for_it,
)


def _list(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"
