"""What a network does with the pictures of a run: questions about its inside, carried out as probes."""
