"""Reading requests: from bytes to validated calls, or an `InvalidRequest` that names the path. Pure."""
