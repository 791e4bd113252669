"""Lessons on Szegedy et al. 2013 and Zhang et al. 2016."""
