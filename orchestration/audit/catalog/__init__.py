"""The catalog: what there is, whose it is, what it may be used for, and where it went.

Belongs here: values made of the charter, the templates and the log, for people and for other catalogs. Must
not be here: any value of a row, any rule of its own, how it looks (`cli/`, `portal/`).
"""
