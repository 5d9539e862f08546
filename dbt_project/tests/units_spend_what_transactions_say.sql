-- No purchase is lost or doubled on the way from the transactions to the units.

with units as (

    select coalesce(sum(amount), 0) as amount from {{ ref('int_units__joined') }}

),

transactions as (

    select coalesce(sum(amount), 0) as amount from {{ ref('stg_transaction') }}

)

select
    units.amount,
    transactions.amount as expected
from units
cross join transactions
where units.amount <> transactions.amount
