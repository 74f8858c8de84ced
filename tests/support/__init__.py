"""Builders, clocks and dice that tests pass in; `world` is a whole playground over a real store."""
