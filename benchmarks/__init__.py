"""The tap against a stock SDK tap and against the limit of the language, on the same bytes."""
