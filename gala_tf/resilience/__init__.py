"""What goes wrong outside: interruption, a full disk, steps that hang."""
