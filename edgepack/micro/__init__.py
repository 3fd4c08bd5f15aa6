"""What microcontrollers with TFLite Micro can run, how much memory it takes, and C arrays."""
