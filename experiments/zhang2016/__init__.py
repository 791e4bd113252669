"""Experiments of Zhang et al., https://arxiv.org/abs/1611.03530."""
