"""Customer companies inside a tenant, and the users' memberships with their roles."""
