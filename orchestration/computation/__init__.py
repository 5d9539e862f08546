"""Layer 3: approved computations (templates), who may ask for them (requests), and running them (dbt).

Import the submodules directly: `template`, `request`, `runner`, `cells`. Must not be here: what may leave the
room (that is `output/`), or how data came in (`scope/`).
"""
