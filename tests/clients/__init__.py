"""Client libraries that others wrote, each against a running server: what their users would do, with nothing bent for us."""
