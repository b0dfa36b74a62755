"""Prompts whose words decide: contrasts, negations, numbers and degrees, with poses that do just what is said."""
