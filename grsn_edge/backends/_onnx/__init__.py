"""A step program as an ONNX graph of integer operations, and a strict reader of such files."""
