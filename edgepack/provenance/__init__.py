"""Where a bundle comes from, in the forms that other tools read: SLSA provenance, CycloneDX."""
