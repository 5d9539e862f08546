"""The charter of the tiny collaboration: a shop and a panel, three datasets, two questions."""

CHARTER = """
collaboration: tiny
title: A shop and a panel
version: 1
effective_from: 2020-01-01
effective_until: 2099-12-31
privacy_unit: household
objectives: [Learn who buys what.]
participants:
  - id: shop
    name: Shop
    description: Sells.
    responsibilities: [Contributes receipts.]
    members:
      - {id: shop.steward, name: Steward, roles: [steward]}
      - {id: shop.analyst, name: Analyst, roles: [analyst]}
      - {id: shop.operator, name: Operator, roles: [operator]}
  - id: panel
    name: Panel
    description: Asks.
    responsibilities: [Contributes profiles.]
    members:
      - {id: panel.steward, name: Steward, roles: [steward]}
      - {id: panel.executive, name: Executive, roles: [executive]}
      - {id: panel.auditor, name: Auditor, roles: [auditor]}
datasets:
  - id: sales
    participant: shop
    entity: transaction
    title: Sales
    description: One row per receipt and product.
    classification: personal
    purposes: [insight, planning]
    lawful_basis: consent
    license: {id: LicenseRef-test, terms: Test only, redistribution: false}
    period: {from: 2024-01-01, until: 2024-12-31}
    max_rows: 100000
    max_bytes: 20000000
    deidentify: in_room
    fields:
      - {name: household_id, as: unit, type: string, required: true, max_length: 40,
         classification: direct_identifier, technique: {kind: pseudonymize, domain: household}}
      - {name: basket_id, as: basket, type: string, required: true, max_length: 40,
         classification: quasi_identifier, technique: {kind: pseudonymize, domain: basket}}
      - {name: product_id, as: product, type: string, required: true, max_length: 20,
         classification: behavioural, technique: pass}
      - {name: quantity, as: quantity, type: integer, required: true, minimum: 0, maximum: 1000,
         classification: behavioural, technique: {kind: clamp, low: 0, high: 100}}
      - {name: sales_value, as: amount, type: decimal, required: true, minimum: 0, maximum: 1000,
         classification: behavioural, technique: pass}
      - {name: week, as: week, type: integer, required: true, minimum: 1, maximum: 53,
         classification: behavioural, technique: pass}
      - {name: sold_at, as: occurred_on, type: timestamp, required: true,
         minimum: 2024-01-01, maximum: 2025-01-01,
         classification: quasi_identifier, technique: {kind: generalize, to: day}}
      - {name: reason, type: string, max_length: 200, classification: sensitive, technique: drop}
  - id: products
    participant: shop
    entity: product
    title: Products
    description: One row per product.
    classification: commercial
    purposes: [insight]
    lawful_basis: not_personal_data
    license: {id: LicenseRef-test, terms: Test only, redistribution: false}
    max_rows: 100
    max_bytes: 100000
    deidentify: in_room
    unique_key: [product]
    fields:
      - {name: product_id, as: product, type: string, required: true, max_length: 20,
         classification: reference, technique: pass}
      - {name: department, as: department, type: string, required: true, max_length: 40,
         classification: reference, technique: pass}
      - {name: brand, as: brand, type: string, values: [National, Private],
         classification: reference, technique: pass}
  - id: people
    participant: panel
    entity: profile
    title: People
    description: One row per household.
    classification: personal
    purposes: [insight, planning]
    lawful_basis: consent
    license: {id: LicenseRef-test, terms: Test only, redistribution: false}
    max_rows: 1000
    max_bytes: 100000
    deidentify: in_room
    unique_key: [unit]
    fields:
      - {name: household_id, as: unit, type: string, required: true, max_length: 40,
         classification: direct_identifier, technique: {kind: pseudonymize, domain: household}}
      - {name: age, as: age, type: string, required: true, values: [young, middle, old],
         classification: quasi_identifier, technique: pass}
      - {name: income, as: income, type: string, values: [low, high],
         classification: sensitive, technique: pass}
purposes:
  - {id: insight, title: Insight, description: Who buys what.}
  - {id: planning, title: Planning, description: Whether to go on.}
prohibited_uses:
  - {id: re_identification, description: Nobody tries to find out who a household is.}
computations:
  - {template: audience_overlap, purposes: [planning], requesters: [shop], receivers: [shop, panel]}
  - {template: joint_segmentation, purposes: [insight], requesters: [shop], receivers: [shop]}
decision_rights:
  - {id: charter_change, decision: A new version., deciders: [shop, panel], quorum: 2}
access:
  detail: {steward: full, analyst: full, executive: summary}
  release_valid_days: 30
retention: {contributions_days: 60, quarantine_days: 30, releases_days: 60}
output:
  aggregation_threshold: 5
  max_cells: 100
  formats: [parquet, csv, json, vega_lite, png]
audit: {checkpoint_minutes: 60, justification_required: true, lineage: true, review_days: 90}
human_duties:
  - {id: participation, owner: shop.steward, duty: Calls.,
     clauses: [participants.*.responsibilities, decision_rights]}
  - {id: lawful, owner: panel.steward, duty: Asks., clauses: [datasets.*.lawful_basis, datasets.*.license]}
  - {id: fair_use, owner: panel.steward, duty: Briefs., clauses: [prohibited_uses, output.formats]}
  - {id: review, owner: panel.auditor, duty: Reads., clauses: [audit.review_days]}
"""
