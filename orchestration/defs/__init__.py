"""Dagster: assets, checks, jobs, sensors and schedules over the stages. The only place that knows Dagster.

Belongs here: how a stage is shown, scheduled and started. Must not be here: what a stage does. Dagster's own
records are a display, not evidence: its port has no users, so whatever counts is read from our log.
"""
