"""What only Acumatica does: its addresses, sign-in, licensed sessions, errors and names."""
