"""Networks before weights are put into them."""
