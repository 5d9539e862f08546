select
    unit,
    campaign
from {{ source('admitted', 'assignment') }}
