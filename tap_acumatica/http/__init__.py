"""How requests travel: transport, retry, rate limit, request log, redaction."""
