"""From Edm types to JSON Schema, and from a page of bytes to Singer records."""
