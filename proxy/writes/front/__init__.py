"""What clients of writes say and are told, as values: pure."""
