"""What files of weights and networks declare, checked before anything of the declared size is allocated.

A file is read up to its header; sizes, counts, names and places of tensors are compared with the file's own
bytes and with `limits`. Nothing in a header is carried out.
"""
