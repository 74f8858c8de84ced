"""The pages and the demo in a real browser."""
