select
    campaign,
    campaign_type,
    starts_on,
    ends_on
from {{ source('admitted', 'campaign') }}
