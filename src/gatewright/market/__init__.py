"""The marketplace: apps with their manifests, and where each is installed."""
