"""The promises of docs/house/README.md, kept by reading the checkout itself."""
