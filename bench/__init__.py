"""Benchmarks, run by hand: `./dev bench`. They print what a request costs; nothing here is a test."""
