"""Edm types to JSON Schema, and the bytes of a page to Singer records."""
