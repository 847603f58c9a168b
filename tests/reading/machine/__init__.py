"""A service in memory, and trials of the tap's reading over it."""
