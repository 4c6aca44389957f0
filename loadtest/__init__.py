"""Load: a demonstration, locust users, and the benchmark beside nginx and Varnish."""
