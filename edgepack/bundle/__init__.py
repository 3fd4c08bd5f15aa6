"""The bundle: a canonical zip of models, manifest and digests, and its verifier."""
