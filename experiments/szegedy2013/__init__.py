"""Experiments of Szegedy et al., https://arxiv.org/abs/1312.6199."""
