"""The way to the origin: the port that everything above uses, and its adapter."""
