"""The main job end to end, on one machine: sandbox, Meltano, PostgreSQL.

``python -m demo`` runs it; the tests use the same parts.
"""
