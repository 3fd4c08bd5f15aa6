"""Writes TFLite's standard metadata and label files into a .tflite, and reads them."""
