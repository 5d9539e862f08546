-- The parties meet here, on pseudonyms: who is known to whom, and what was spent.

with shoppers as (

    select
        unit,
        sum(amount) as amount
    from {{ ref('stg_transaction') }}
    group by unit

),

profiles as (

    select
        unit,
        age,
        income,
        home_ownership,
        marital_status,
        household_size,
        household_composition,
        children
    from {{ ref('stg_profile') }}

),

mailed as (

    select distinct unit from {{ ref('stg_assignment') }}

),

redeemers as (

    select distinct unit from {{ ref('stg_interaction') }}

),

units as (

    select unit from shoppers
    union
    select unit from profiles
    union
    select unit from mailed
    union
    select unit from redeemers

)

select
    units.unit,
    shoppers.unit is not null as shopper,
    profiles.unit is not null as profiled,
    mailed.unit is not null as mailed,
    redeemers.unit is not null as redeemer,
    cast(coalesce(shoppers.amount, 0) as decimal(18, 2)) as amount,
    profiles.age,
    profiles.income,
    profiles.home_ownership,
    profiles.marital_status,
    profiles.household_size,
    profiles.household_composition,
    profiles.children
from units
left join shoppers on units.unit = shoppers.unit
left join profiles on units.unit = profiles.unit
left join mailed on units.unit = mailed.unit
left join redeemers on units.unit = redeemers.unit
