"""The HTTP service: masks, counts and confluency from posted images."""
