"""How fast the house is, as ratios within one run: `make bench`, results in `benchmarks/results/`.

Belongs here: one file per promise about speed (`intake`, `request`, `demo`), what they share (`measure`) and
how the results are written (`report`). Must not be here: a test; a ratio is read by people, not asserted.
"""
