"""A finished run -> one ONNX file that carries its card, checked to give the same answers."""
