"""Datasets as their owners publish them, one file each."""
