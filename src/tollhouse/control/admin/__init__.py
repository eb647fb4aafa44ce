"""The operator's API. `table` serves endpoints, `tree accounts prices usage house` are them, `api` is all of them."""
