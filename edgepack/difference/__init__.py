"""What changed between two bundles, and what of it breaks an app."""
