"""Reading other people's files, by position and without running or unpacking anything."""
