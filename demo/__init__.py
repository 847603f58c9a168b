"""The main job end to end on one machine: sandbox, Meltano, PostgreSQL.

Run it with ``python -m demo``. The tests use the same modules.
"""
