"""What a request may cost: statements, commits and bytes, counted and never timed."""
