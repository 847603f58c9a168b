"""Compares the tap with a stock SDK tap and with the limit of the language, on the same bytes."""
