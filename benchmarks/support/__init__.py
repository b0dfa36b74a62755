"""Code of single benchmarks that is worth a test of its own."""
