"""HTTP messages as values: header fields, heads, dates. Pure."""
