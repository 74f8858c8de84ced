"""A tenant described in a TOML file: checked as a whole, compared with what is there, and made true in one transaction."""
