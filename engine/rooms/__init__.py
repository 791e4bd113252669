"""Rooms: a class that joins by a code, what it may do there, and what comes of it."""
