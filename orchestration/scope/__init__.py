"""Layer 2, data scope: what may enter, in what form it stays, and which gate it passes.

Pure rules and the SQL they compile to. Must not be here: Dagster, the log, or when a step runs.
"""
