"""Keys and what only keys can do: sealing, signing, wrapping, and the one way out to the keys of others."""
