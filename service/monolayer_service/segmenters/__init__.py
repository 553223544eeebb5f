"""Who finds the objects: a network in ONNX Runtime or OpenVINO, or K-means."""
