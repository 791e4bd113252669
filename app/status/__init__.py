"""How this server is: for Prometheus, for whatever restarts it or sends people to it, and for its owner."""
