select
    unit,
    session,
    channel,
    device,
    visitor_type,
    pages,
    duration_seconds,
    converted,
    occurred_on
from {{ source('admitted', 'session') }}
