"""Runs in a database: whose they are, how far they came, and their pictures; kept across restarts."""
