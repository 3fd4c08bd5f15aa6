"""Exit codes that no error class has."""

from __future__ import annotations

BUG = 1
USAGE = 2
OVER_BUDGET = 3
INCOMPATIBLE = 6
INTERRUPTED = 130  # 128 + SIGINT
BROKEN_PIPE = 141  # 128 + SIGPIPE, as a shell reports it
