{%- set by = parameter('by', ['campaign_type', 'campaign']) -%}

select
    {{ by }} as campaign_group,
    cast(grouping({{ by }}) as boolean) as campaign_group_is_total,
    count(*) as mailed,
    count(distinct unit) as mailed_units,
    count(*) filter (where redeemed) as redeemed,
    count(distinct unit) filter (where redeemed) as redeemed_units
from {{ ref('int_assignments__responded') }}
group by grouping sets (({{ by }}), ())
having count(*) > 0
