"""Golden vectors: which samples are recorded, how, and what tells another model's answers apart."""
