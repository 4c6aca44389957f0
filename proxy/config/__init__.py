"""Settings, and how a file becomes them; a reader starts at `settings`, then `loading`."""
