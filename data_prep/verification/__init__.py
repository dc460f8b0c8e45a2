"""What `data_prep.verify` looks at, and what it draws."""
