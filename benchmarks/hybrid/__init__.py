"""Hybrid actions beyond poses: four environments, three learners and the table of their runs."""
