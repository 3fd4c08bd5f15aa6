"""The runs that make evidence: accuracy, latency, memory."""
