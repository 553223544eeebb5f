"""Turns a training run into a verified ONNX bundle."""
