"""Fits and evaluates segmentation networks."""
