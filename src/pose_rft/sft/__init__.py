"""The supervised stage: losses and trainers."""
