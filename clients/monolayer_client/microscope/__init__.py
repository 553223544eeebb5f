"""Frames of a microscope that are answered while it goes on: hooks for acquisition software in Python."""
