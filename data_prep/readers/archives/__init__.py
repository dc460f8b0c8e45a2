"""Files inside tar, zip, npz and MAT archives, read by position."""
