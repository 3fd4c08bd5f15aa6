"""Composition only: runs the stages in order, emits events, never prints."""
