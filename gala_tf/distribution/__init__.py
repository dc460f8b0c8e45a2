"""Where a program computes: one device or many, one machine or several, and what they agree on."""
