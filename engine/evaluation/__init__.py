"""Many pictures, attacked by several attacks on several networks: one row for each, a summary, a table."""
