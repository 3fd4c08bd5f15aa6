"""The frozen values that travel between rooms, with their codecs and JSON Schemas."""
