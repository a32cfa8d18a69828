"""Postgres: one file = one table, its translation to the domain, and every query on it.

Functions take the open `Session` first and never commit: the edge that opened it does, once.
Rows do not leave; domain values and small frozen read models do.
"""
