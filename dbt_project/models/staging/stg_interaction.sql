select
    unit,
    campaign,
    coupon,
    occurred_on
from {{ source('admitted', 'interaction') }}
