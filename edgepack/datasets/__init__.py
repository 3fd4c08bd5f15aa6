"""Samples from files: decoded, preprocessed, split by purpose, checked."""
