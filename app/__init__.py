"""The server: pages, routes and the command line."""

import without_torch

without_torch.stand_in()  # before anything names torch
