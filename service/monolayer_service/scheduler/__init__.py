"""Tiles of all requests in flight: whose turn it is, what shares a batch, and the threads that run the networks."""
