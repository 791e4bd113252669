"""What attacks are made of: norms, batches, searches that several of them share."""
