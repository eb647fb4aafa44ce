"""The Responses API as an upstream's dialect."""
