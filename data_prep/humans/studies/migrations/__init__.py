"""The tables of a study, version by version; a file is never edited once it is out.

env.py     what Alembic runs
versions/  the steps, in order
"""
