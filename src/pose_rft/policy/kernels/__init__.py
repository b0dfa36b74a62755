"""Speed that changes no number."""
