"""The backend of configurations without a journal: writes live as long as their clients wait."""
