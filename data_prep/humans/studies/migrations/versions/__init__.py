"""The steps from an empty database to today's; `0001_first.py` is the first."""
