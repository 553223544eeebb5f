"""Logs, metrics and timings: what the service says about itself."""
