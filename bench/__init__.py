"""The benchmarks, run by hand: ./dev bench."""
