"""The language between two poses: what has changed, and how to say it."""
