"""What the live view's section “Look inside” asks the server: one route, and a part for each tab."""
