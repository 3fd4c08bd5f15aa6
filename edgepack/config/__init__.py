"""`edgepack.toml`: what it says, what flags say in its place, and a first one for a model."""
