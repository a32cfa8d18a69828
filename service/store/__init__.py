"""PostgreSQL: every table, its translation to the domain, and every query on it.

Functions take the open `Session` first and never commit: the edge that opened it does, once. Rows
do not leave; domain values and small frozen read models do.

A file queries in one way. Plain rows, read and written one by one or a page at a time, are queried
by SQLModel's expressions: `alerts/alerts`, `stories/stories`, `stories/topics` and `staff/`. All
else is `text`: what works on sets of rows, upserts, takes locks or is called for every push,
receipt, registration and follow. What several of those statements share is named in
`sql_fragments`.

An alert's state changes in `alerts/alert_transitions` and nowhere else.
"""
