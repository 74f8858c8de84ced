"""White-label platforms and their domains, each of which is an issuer."""
