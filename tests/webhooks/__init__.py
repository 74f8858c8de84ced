"""Events for apps, over each engine: written with the change, delivered at least once, by any node."""
