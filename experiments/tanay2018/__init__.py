"""Experiments of Tanay and Griffin, https://arxiv.org/abs/1806.11186."""
