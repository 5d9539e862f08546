"""The suite of one dataset: what its gate asserts, and nothing about how it is run.

Two sources, in this order: rules every dataset gets from its charter (columns, required values, closed
sets, bounds, keys, pseudonyms that look like pseudonyms), then the rules of its entity from
`expectations/<entity>.yaml`. A rule's id is its name everywhere: suite, receipt, Dagster check, lineage.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError
from pydantic import Field as Spec
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from orchestration.charter.entities import ENTITIES, UNITS
from orchestration.charter.fields import Drop, Field
from orchestration.charter.model import Charter, Dataset
from orchestration.digests import digest_json
from orchestration.errors import ConfigError, Reason
from orchestration.scope.quality_rules import quality_rules
from orchestration.scope.ranges import Between, Labels, Pseudonyms, Range, Shaped, ranges

BAD_SUITE = Reason(
    "gate.bad_suite",
    "The expectations of entity {entity} cannot be used: {problem}.",
    "Mend expectations/{entity}.yaml; see docs/expectations.md for its form.",
)

# The smallest share GX can tell from none: "at least one value is there".
_AT_LEAST_ONE = 1e-9

_NOT_NULL = "expect_column_values_to_not_be_null"
_PSEUDONYMS = "expect_column_values_to_be_pseudonyms"
_NO_PERSONAL_DATA = "expect_column_to_hold_no_personal_data"
_LENGTH = "expect_column_value_lengths_to_equal"
_LENGTH_BETWEEN = "expect_column_value_lengths_to_be_between"
_BETWEEN = "expect_column_values_to_be_between"
_IN_SET = "expect_column_values_to_be_in_set"
_UNIQUE = "expect_column_values_to_be_unique"
_UNIQUE_TOGETHER = "expect_compound_columns_to_be_unique"


class Rule(BaseModel):
    """One assertion, in Great Expectations' words.

    `arguments` are the expectation's own; `severity` critical stops the dataset, warning is reported.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rule: str = Spec(pattern=r"^[a-z][a-z0-9_]{0,99}$")
    expectation: str = Spec(pattern=r"^expect_[a-z_]+$")
    arguments: dict[str, JsonValue] = {}
    severity: Literal["critical", "warning"] = "critical"
    because: str = ""

    @property
    def column(self) -> str | None:
        name = self.arguments.get("column")
        return name if isinstance(name, str) else None

    def reads(self) -> set[str]:
        """The columns this rule needs."""
        columns = {
            value
            for key, value in self.arguments.items()
            if key.startswith("column") and isinstance(value, str)
        }
        listed = self.arguments.get("column_list")
        return columns | ({str(c) for c in listed} if isinstance(listed, list) else set())


class EntityRules(BaseModel):
    """The document `expectations/<entity>.yaml`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    entity: str
    rules: tuple[Rule, ...]


class Suite(BaseModel):
    """Every rule of one dataset, ids unique."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str
    rules: tuple[Rule, ...]

    @property
    def digest(self) -> str:
        return digest_json(self.model_dump(mode="json"))


def compile_suite(dataset: Dataset, folder: Path, charter: Charter | None = None) -> Suite:
    """The suite of `dataset` from its charter clauses and `folder`/<entity>.yaml.

    Args:
        charter: whose other datasets may refer to this one; they ask something of it, too.

    Raises: ConfigError (`gate.bad_suite`).
    """
    columns = set(_attributes(dataset))
    loaded = _load(dataset.entity, folder).rules
    for rule in loaded:
        # A rule about what a dataset lacks is left out; one about what the entity lacks is a slip of the pen.
        if not rule.reads() <= ENTITIES[dataset.entity].attributes.keys():
            raise ConfigError(
                BAD_SUITE, entity=dataset.entity, problem=f"{rule.rule} reads what the entity does not have"
            )
    entity_rules = [rule for rule in loaded if rule.reads() <= columns]
    quality = [
        Rule(
            rule=each.rule,
            expectation=each.expectation,
            arguments=each.arguments,
            severity=each.severity,
            because=each.because,
        )
        for each in quality_rules(dataset, charter)
    ]
    rules = (*_charter_rules(dataset), *entity_rules, *quality)
    if len({rule.rule for rule in rules}) != len(rules):
        raise ConfigError(BAD_SUITE, entity=dataset.entity, problem="two rules have the same id")
    return Suite(dataset=dataset.id, rules=rules)


def _attributes(dataset: Dataset) -> list[str]:
    present = {f.attribute for f in dataset.fields if not isinstance(f.technique, Drop)}
    return [name for name in ENTITIES[dataset.entity].attributes if name in present]


def _charter_rules(dataset: Dataset) -> list[Rule]:
    """What the charter itself promises about the de-identified table."""
    rules = [
        Rule(
            rule="has_rows",
            expectation="expect_table_row_count_to_be_between",
            arguments={"min_value": 1, "max_value": dataset.max_rows},
            because="an empty table passes every other rule",
        ),
        Rule(
            rule="columns_as_chartered",
            expectation="expect_table_columns_to_match_ordered_list",
            arguments={"column_list": list(_attributes(dataset))},
            because="nothing but permitted fields may be there",
        ),
    ]
    for field in dataset.fields:
        if field.attribute is not None and not isinstance(field.technique, Drop):
            if field.deprecated is None:
                gone = _may_be_suppressed(dataset, field.attribute)
                rules.append(_presence(field, field.attribute, may_be_suppressed=gone))
            rules += _limits(field, field.attribute)
            rules += _privacy(field, field.attribute)
    if ENTITIES[dataset.entity].aggregated:
        rules.append(_enough_units(dataset))
    if len(dataset.unique_key) == 1:
        key = dataset.unique_key[0]
        rules.append(_rule("key", "unique", _UNIQUE, {"column": key}, "one row per key"))
    elif dataset.unique_key:
        columns: list[JsonValue] = [*dataset.unique_key]
        rules.append(_rule("key", "unique", _UNIQUE_TOGETHER, {"column_list": columns}, "one row per key"))
    return rules


def _enough_units(dataset: Dataset) -> Rule:
    """The charter's checks ask for the threshold; without one, nothing passes."""
    fewest = 10**9 if dataset.threshold is None else dataset.threshold
    arguments: dict[str, JsonValue] = {"column": UNITS, "min_value": fewest}
    return _rule(UNITS, "enough", _BETWEEN, arguments, "fewer units behind a row than the charter allows")


def _may_be_suppressed(dataset: Dataset, attribute: str) -> bool:
    """A value that intake required may be gone again, to reach the floor of anonymity."""
    budget = dataset.anonymity.suppress if dataset.anonymity else None
    return bool(budget) and attribute in dataset.quasi_identifiers


def _presence(field: Field, name: str, *, may_be_suppressed: bool) -> Rule:
    if field.required and not may_be_suppressed:
        return _rule(name, "present", _NOT_NULL, {"column": name}, "the charter requires a value")
    arguments: dict[str, JsonValue] = {"column": name, "mostly": _AT_LEAST_ONE}
    return _rule(name, "not_all_missing", _NOT_NULL, arguments, "an all-empty column passes every other rule")


def _privacy(field: Field, name: str) -> list[Rule]:
    """Text that people typed must not speak of persons; closed sets and labels of the charter cannot."""
    free = field.deidentified_type == "VARCHAR" and not field.values
    if not free or field.technique.kind in ("pseudonymize", "generalize"):
        return []
    because = "no address, telephone number, card, account or national id may be in it"
    return [_rule(name, "impersonal", _NO_PERSONAL_DATA, {"column": name}, because)]


def _limits(field: Field, name: str) -> list[Rule]:
    """What the technique says about the values that arrive in the room."""
    rules = (_asserted(each, name) for each in ranges(field))
    return [rule for rule in rules if rule is not None]


def _asserted(range_: Range, name: str) -> Rule | None:
    """None for what GX has no words for, or what would cost a pass more: intake asked it of each row."""
    match range_:
        case Pseudonyms():
            expectation, said = _PSEUDONYMS, {}
        case Labels(labels=labels):
            expectation, said = _IN_SET, _said(value_set=[*labels])
        case Between(low=low, high=high) if not isinstance(low, date) and not isinstance(high, date):
            expectation, said = _BETWEEN, _said(min_value=_number(low), max_value=_number(high))
        case Shaped(shortest=shortest, longest=longest) if shortest == longest:
            expectation, said = _LENGTH, _said(value=longest)
        case Shaped(shortest=shortest, longest=longest):
            expectation, said = _LENGTH_BETWEEN, _said(min_value=shortest or None, max_value=longest)
        case _:
            return None
    return _rule(name, range_.name, expectation, {"column": name, **said}, range_.because)


def _said(**arguments: JsonValue) -> dict[str, JsonValue]:
    return {key: value for key, value in arguments.items() if value is not None}


def _rule(subject: str, suffix: str, expectation: str, arguments: dict[str, JsonValue], because: str) -> Rule:
    return Rule(rule=f"{subject}_{suffix}", expectation=expectation, arguments=arguments, because=because)


def _number(value: Decimal | None) -> int | float | None:
    if value is None:
        return None
    return int(value) if value == int(value) else float(value)


def _load(entity: str, folder: Path) -> EntityRules:
    path = folder / f"{entity}.yaml"
    try:
        document = EntityRules.model_validate(YAML(typ="safe", pure=True).load(path))
    except (OSError, YAMLError):
        raise ConfigError(BAD_SUITE, entity=entity, problem="the file is missing or not YAML") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ConfigError(BAD_SUITE, entity=entity, problem=f"{where}: {first['msg']}") from None
    if document.entity != entity:
        raise ConfigError(BAD_SUITE, entity=entity, problem="it names another entity")
    return document
