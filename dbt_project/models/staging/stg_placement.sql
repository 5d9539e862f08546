select
    product,
    store,
    display,
    mailer,
    week
from {{ source('admitted', 'placement') }}
