"""Experiments of Ilyas et al., https://arxiv.org/abs/1905.02175."""
