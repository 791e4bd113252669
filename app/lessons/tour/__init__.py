"""Lessons that retell the panda-to-vulture article, and the parts that only they use."""
