"""The server: pages, routes and the command line."""
