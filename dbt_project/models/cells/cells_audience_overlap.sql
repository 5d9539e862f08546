{%- set flags = {'shoppers': 'shopper', 'profiled': 'profiled', 'mailed': 'mailed', 'redeemers': 'redeemer'} -%}
{%- set left = flags[parameter('left', ['shoppers', 'profiled', 'mailed', 'redeemers'])] -%}
{%- set right = flags[parameter('right', ['profiled', 'shoppers', 'mailed', 'redeemers'])] -%}

with members as (

    select
        case when {{ left }} then 'yes' else 'no' end as in_left,
        case when {{ right }} then 'yes' else 'no' end as in_right
    from {{ ref('int_units__joined') }}
    where {{ left }} or {{ right }}

)

select
    in_left,
    in_right,
    cast(grouping(in_left) as boolean) as in_left_is_total,
    cast(grouping(in_right) as boolean) as in_right_is_total,
    count(*) as units
from members
group by cube (in_left, in_right)
having count(*) > 0
