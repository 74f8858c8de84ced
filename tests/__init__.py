"""The tests; docs/house/README.md says which folder is for what."""
