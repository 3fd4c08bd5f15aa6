"""The accuracy-aware search for a mixed-precision model: pure, over callables handed in."""
