"""Pose-RFT: language models that answer with words and a 3D human pose, trained by reward."""
