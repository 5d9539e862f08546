"""Layer 5: what happened, in one append-only log that anybody with the public key can check.

Belongs here: events and their Merkle tree, the tables shown from them, receipts, checkpoints, passports and
the code that verifies all of these. Must not be here: deciding whether something may happen (the other layers
decide; this one records), and any value of a row. Import the submodules directly.
"""
