"""Reads a .tflite flatbuffer without an interpreter."""
