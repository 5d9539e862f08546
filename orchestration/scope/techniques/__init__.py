"""Techniques as SQL: one form for each technique and engine.

Belongs here: what a technique of the charter is in the SQL of an engine. Must not be here: parameters
(`charter/techniques`), how forms become one statement (`deidentification`).
"""
