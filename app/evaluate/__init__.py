"""The page that attacks many pictures and shows the table."""
