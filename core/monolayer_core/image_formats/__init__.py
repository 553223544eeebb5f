"""One module per file format, and what they share: how an image is stored, and which plane of it is meant."""
