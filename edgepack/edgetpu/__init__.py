"""What Coral's Edge TPU would run of a file: by the published list, and by its compiler."""
