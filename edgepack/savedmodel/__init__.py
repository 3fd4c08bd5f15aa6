"""Reads a SavedModel from its files, without TensorFlow."""
