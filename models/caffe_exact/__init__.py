"""Caffe's arithmetic, sum for sum."""
