"""Experiments of Karpathy, Breaking Linear Classifiers on ImageNet."""
