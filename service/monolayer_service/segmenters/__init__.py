"""Who finds the objects: a network in ONNX Runtime, or K-means."""
