"""One pool of worker processes for all commands.

workers.py  how they start, and how they end
"""
