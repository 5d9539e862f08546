{%- set attributes = [
    'age', 'income', 'home_ownership', 'marital_status', 'household_size', 'household_composition', 'children'
] -%}
{%- set rows = parameter('rows', attributes) -%}
{%- set columns = parameter('columns', ['none'] + attributes) -%}

with segments as (

    select
        {{ rows }} as row_value,
        {{ columns if columns != 'none' else 'cast(null as varchar)' }} as column_value,
        amount
    from {{ ref('int_units__joined') }}
    where shopper and profiled

)

select
    row_value,
    column_value,
    cast(grouping(row_value) as boolean) as row_value_is_total,
    {% if columns == 'none' -%}
    -- Not broken down by a second attribute: every row is a total over it.
    true as column_value_is_total,
    {%- else -%}
    cast(grouping(column_value) as boolean) as column_value_is_total,
    {%- endif %}
    count(*) as units,
    cast(coalesce(sum(amount), 0) as decimal(18, 2)) as amount
from segments
{% if columns == 'none' -%}
group by grouping sets ((row_value, column_value), (column_value))
{%- else -%}
group by cube (row_value, column_value)
{%- endif %}
having count(*) > 0
