"""Compressing stored bodies: an encoder for each content coding, and the threads that run them."""
