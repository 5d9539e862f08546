select
    unit,
    basket,
    store,
    product,
    quantity,
    amount,
    week,
    occurred_on
from {{ source('admitted', 'transaction') }}
