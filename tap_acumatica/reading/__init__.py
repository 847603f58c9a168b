"""How a stream is read without losing or inventing a row, whatever changes meanwhile."""
