"""What a tenant protects: APIs with their scopes, and the roles that hold them."""
