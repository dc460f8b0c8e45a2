"""One pool of worker processes for all commands."""
