select
    unit,
    segment,
    score
from {{ source('admitted', 'signal') }}
