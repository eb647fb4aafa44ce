"""The vocabulary: frozen values without behaviour. Import from the module that owns the thing."""
