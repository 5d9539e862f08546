"""The entities every dataset is harmonized to: their attributes, SQL types and privacy units.

Belongs here: the fixed vocabulary that the SQL of the templates is written over.
Must not be here: anything of one collaboration; that is what a charter says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, get_args

EntityName = Literal[
    "profile",
    "transaction",
    "assignment",
    "interaction",
    "consent",
    "session",
    "subscription",
    "opportunity",
    "signal",
    "aggregate",
    "product",
    "campaign",
    "coupon",
    "placement",
]
SqlType = Literal["VARCHAR", "BIGINT", "DECIMAL(12,2)", "DATE", "TIMESTAMP", "BOOLEAN"]

UNIT = "unit"
"""The attribute that holds the pseudonym of the privacy unit, in every entity that has one."""


UNITS = "units"
"""The attribute that says how many privacy units stand behind a row that came aggregated."""


@dataclass(frozen=True)
class Entity:
    """One kind of row in the room; `attributes` maps attribute to SQL type, in table order.

    `aggregated`: the contributor has counted already, so a row is about many units and about none by name.
    """

    name: EntityName
    attributes: Mapping[str, SqlType]
    privacy_unit: bool
    aggregated: bool
    description: str


def _entity(name: EntityName, description: str, **attributes: SqlType) -> Entity:
    return Entity(name, MappingProxyType(attributes), UNIT in attributes, UNITS in attributes, description)


ENTITIES: Mapping[str, Entity] = MappingProxyType(
    {
        entity.name: entity
        for entity in (
            _entity(
                "profile",
                "What is known about a privacy unit; one row per unit.",
                unit="VARCHAR",
                age="VARCHAR",
                income="VARCHAR",
                home_ownership="VARCHAR",
                marital_status="VARCHAR",
                household_size="VARCHAR",
                household_composition="VARCHAR",
                children="VARCHAR",
                sex="VARCHAR",
                ethnicity="VARCHAR",
                education="VARCHAR",
                occupation="VARCHAR",
                employment="VARCHAR",
                country="VARCHAR",
                region="VARCHAR",
                postcode="VARCHAR",
            ),
            _entity(
                "transaction",
                "What a privacy unit bought; one row per line of a receipt.",
                unit="VARCHAR",
                basket="VARCHAR",
                store="VARCHAR",
                product="VARCHAR",
                quantity="BIGINT",
                amount="DECIMAL(12,2)",
                week="BIGINT",
                occurred_on="DATE",
            ),
            _entity(
                "assignment",
                "Which campaign was sent to a privacy unit; one row per unit and campaign.",
                unit="VARCHAR",
                campaign="VARCHAR",
            ),
            _entity(
                "interaction",
                "How a privacy unit answered a campaign; one row per redemption.",
                unit="VARCHAR",
                campaign="VARCHAR",
                coupon="VARCHAR",
                occurred_on="DATE",
            ),
            _entity(
                "consent",
                "What a privacy unit decided about the use of its data; the newest decision counts.",
                unit="VARCHAR",
                granted="BOOLEAN",
                decided_on="DATE",
            ),
            _entity(
                "session",
                "A visit of a privacy unit to a website or app; one row per session.",
                unit="VARCHAR",
                session="VARCHAR",
                channel="VARCHAR",
                device="VARCHAR",
                visitor_type="VARCHAR",
                pages="BIGINT",
                duration_seconds="BIGINT",
                converted="BOOLEAN",
                occurred_on="DATE",
            ),
            _entity(
                "subscription",
                "What a privacy unit has subscribed to; one row per subscription.",
                unit="VARCHAR",
                subscription="VARCHAR",
                plan="VARCHAR",
                contract="VARCHAR",
                status="VARCHAR",
                monthly_amount="DECIMAL(12,2)",
                tenure_months="BIGINT",
                starts_on="DATE",
                ends_on="DATE",
            ),
            _entity(
                "opportunity",
                "A deal that a privacy unit may close; one row per opportunity.",
                unit="VARCHAR",
                opportunity="VARCHAR",
                product="VARCHAR",
                stage="VARCHAR",
                amount="DECIMAL(12,2)",
                opened_on="DATE",
                closed_on="DATE",
            ),
            _entity(
                "signal",
                "Which segments a platform puts a privacy unit into; one row per unit and segment.",
                unit="VARCHAR",
                segment="VARCHAR",
                score="DECIMAL(12,2)",
            ),
            _entity(
                "aggregate",
                "What a contributor has counted already; one row per segment, period and measure.",
                segment="VARCHAR",
                period="DATE",
                measure="VARCHAR",
                value="DECIMAL(12,2)",
                units="BIGINT",
            ),
            _entity(
                "product",
                "Reference: what is sold; one row per product.",
                product="VARCHAR",
                manufacturer="VARCHAR",
                department="VARCHAR",
                brand="VARCHAR",
                category="VARCHAR",
                product_type="VARCHAR",
                package_size="VARCHAR",
            ),
            _entity(
                "campaign",
                "Reference: what was advertised; one row per campaign.",
                campaign="VARCHAR",
                campaign_type="VARCHAR",
                starts_on="DATE",
                ends_on="DATE",
            ),
            _entity(
                "coupon",
                "Reference: what a coupon is good for; one row per coupon, product and campaign.",
                coupon="VARCHAR",
                product="VARCHAR",
                campaign="VARCHAR",
            ),
            _entity(
                "placement",
                "Reference: where a product was shown; one row per product, store, week and place.",
                product="VARCHAR",
                store="VARCHAR",
                display="VARCHAR",
                mailer="VARCHAR",
                week="BIGINT",
            ),
        )
    }
)

if set(ENTITIES) != set(get_args(EntityName)):  # the Literal is what the charter's schema shows
    raise RuntimeError("ENTITIES and EntityName have drifted apart")
