"""HTTP, and only HTTP: turns requests into `Ask`s and `PageAsk`s, and what comes back into responses."""
