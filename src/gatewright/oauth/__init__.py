"""The protocol core: standards as values and functions. It knows no framework, no driver and no clock."""
