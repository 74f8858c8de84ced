"""What runs by the clock instead of at a request's wish: sweeping, rotating keys, flushing counters. Leased, so any node may."""
