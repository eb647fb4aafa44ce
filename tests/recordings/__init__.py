"""Recorded exchanges with real providers, held against the codecs. The recordings are not in the repository."""
