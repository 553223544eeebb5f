"""Python library and command line for the Monolayer service."""
