"""Reading requests: bytes to validated calls, or an `InvalidRequest` that names the path. Pure; called by the gateway."""
