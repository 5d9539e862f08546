-- A redemption counts for the campaign it belongs to, and only if that campaign was sent to the unit.

with assignments as (

    select distinct
        unit,
        campaign
    from {{ ref('stg_assignment') }}

),

responses as (

    select distinct
        unit,
        campaign
    from {{ ref('stg_interaction') }}

)

select
    assignments.unit,
    assignments.campaign,
    coalesce(campaigns.campaign_type, 'Unknown') as campaign_type,
    responses.unit is not null as redeemed
from assignments
left join responses
    on assignments.unit = responses.unit
    and assignments.campaign = responses.campaign
left join {{ ref('stg_campaign') }} as campaigns
    on assignments.campaign = campaigns.campaign
