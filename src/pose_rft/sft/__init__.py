"""The supervised stage: imitation, before reward."""
