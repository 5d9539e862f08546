"""Glasshouse: an open-source data clean room. Start reading at `stages/`, which follows one contribution."""
