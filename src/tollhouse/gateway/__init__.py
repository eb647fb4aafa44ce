"""The hot path: from a client's request to an upstream and back."""
