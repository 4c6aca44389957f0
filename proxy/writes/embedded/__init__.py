"""The embedded queue: writes kept in an SQLite file of our own, by one thread that commits in groups."""
