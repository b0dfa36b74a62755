"""The two stages of training, each from one config."""
