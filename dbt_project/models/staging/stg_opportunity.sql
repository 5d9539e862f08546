select
    unit,
    opportunity,
    product,
    stage,
    amount,
    opened_on,
    closed_on
from {{ source('admitted', 'opportunity') }}
