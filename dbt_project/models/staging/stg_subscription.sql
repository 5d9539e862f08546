select
    unit,
    subscription,
    plan,
    contract,
    status,
    monthly_amount,
    tenure_months,
    starts_on,
    ends_on
from {{ source('admitted', 'subscription') }}
