"""The calls, one module each."""
