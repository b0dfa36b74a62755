"""Text-pose retrieval: encoders, model, losses, training and ranks."""
