"""People and service users: their names, their status and their credentials."""
