select
    coupon,
    product,
    campaign
from {{ source('admitted', 'coupon') }}
