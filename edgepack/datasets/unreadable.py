"""One sample that cannot be decoded: counted, named, and an error only where the spec says so."""


class UnreadableError(Exception):
    """A file is damaged or not of its kind; the text says how."""
