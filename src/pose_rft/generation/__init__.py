"""How a language model answers: packed prompts, decoders, drafts and random streams."""
