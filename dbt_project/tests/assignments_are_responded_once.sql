-- A campaign described twice would double its assignments.

select
    unit,
    campaign
from {{ ref('int_assignments__responded') }}
group by unit, campaign
having count(*) > 1
