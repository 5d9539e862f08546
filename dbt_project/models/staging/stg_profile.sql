select
    unit,
    coalesce(age, 'Unknown') as age,
    coalesce(income, 'Unknown') as income,
    coalesce(home_ownership, 'Unknown') as home_ownership,
    coalesce(marital_status, 'Unknown') as marital_status,
    coalesce(household_size, 'Unknown') as household_size,
    coalesce(household_composition, 'Unknown') as household_composition,
    coalesce(children, 'Unknown') as children
from {{ source('admitted', 'profile') }}
