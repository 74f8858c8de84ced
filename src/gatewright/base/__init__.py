"""Leaf words that every floor may use: moments, ids, digests, secrets. Knows nothing of the product."""
