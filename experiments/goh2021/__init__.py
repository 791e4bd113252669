"""Goh et al. 2021, Multimodal Neurons in Artificial Neural Networks: a word written on a picture."""
