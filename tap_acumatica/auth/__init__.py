"""Signing in: authenticators, OAuth grants, the identity server, the token store, the seat."""
