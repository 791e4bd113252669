"""Rooms in the browser: the pages of students and of the wall, and what they ask the server."""
