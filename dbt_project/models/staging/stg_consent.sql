select
    unit,
    granted,
    decided_on
from {{ source('admitted', 'consent') }}
