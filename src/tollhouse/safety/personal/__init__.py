"""Personal data and secrets: finding them in a text, masking them in a prompt, restoring them in the answer. Pure."""
