"""Recorded poses: clips of a recording, and poses mixed from them."""
