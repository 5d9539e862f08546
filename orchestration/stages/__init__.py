"""One file per stage, in the order a contribution travels: the one place where the layers meet.

    intake → deidentify → gate → refresh → compute → protect → release → access

Each stage takes the receipts of the stages before it, lets its layer do the work, and hands over a receipt
in the same transaction as the lineage of what it did. Belongs here: that order of things. Must not be here:
rules (they are in the layers) and Dagster (it only calls these functions).
"""
