"""Which runtime releases can load a file, from what its operators need."""
