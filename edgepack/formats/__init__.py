"""Recognises whatever is no SavedModel, and says what makes one of it. Needs no TensorFlow."""

from edgepack.formats.recognition import needs_export, recognise, refuse

__all__ = ["needs_export", "recognise", "refuse"]
