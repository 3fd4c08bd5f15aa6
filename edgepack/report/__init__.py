"""Reports: the same record as JSON, Markdown and a terminal's text."""
