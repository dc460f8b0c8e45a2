"""Image files as they lie on disk."""
