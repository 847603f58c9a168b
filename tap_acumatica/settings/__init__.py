"""Settings: table, checks, typed values, credentials; from a configuration to connections."""
