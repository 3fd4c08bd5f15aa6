"""Adapters to TensorFlow, the quantizer and the interpreters, run inside workers only."""
