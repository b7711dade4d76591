"""A server's processes, roles and ranks, by title and port."""
