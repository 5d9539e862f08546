select
    unit,
    coalesce(age, 'Unknown') as age,
    coalesce(income, 'Unknown') as income,
    coalesce(home_ownership, 'Unknown') as home_ownership,
    coalesce(marital_status, 'Unknown') as marital_status,
    coalesce(household_size, 'Unknown') as household_size,
    coalesce(household_composition, 'Unknown') as household_composition,
    coalesce(children, 'Unknown') as children,
    coalesce(sex, 'Unknown') as sex,
    coalesce(ethnicity, 'Unknown') as ethnicity,
    coalesce(education, 'Unknown') as education,
    coalesce(occupation, 'Unknown') as occupation,
    coalesce(employment, 'Unknown') as employment,
    coalesce(country, 'Unknown') as country,
    coalesce(region, 'Unknown') as region,
    coalesce(postcode, 'Unknown') as postcode
from {{ source('admitted', 'profile') }}
