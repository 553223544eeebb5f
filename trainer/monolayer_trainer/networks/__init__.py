"""The networks, each a function from configuration to a Keras model: image in (0 to 255), logits out."""
