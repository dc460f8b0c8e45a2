"""What a run leaves on disk: flags, environment, checkpoints, logs."""
