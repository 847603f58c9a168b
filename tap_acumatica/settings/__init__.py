"""Settings: the table, the checks, credentials; from a configuration to connections."""
