"""Szegedy et al. 2013, which these experiments repeat."""

TITLE = "Intriguing Properties of Neural Networks"
URL = "https://arxiv.org/abs/1312.6199"
