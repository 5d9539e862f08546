select
    segment,
    period,
    measure,
    value,
    units
from {{ source('admitted', 'aggregate') }}
