"""`tollhouse/guide`, which answers questions about Tollhouse from its documentation; `model.Guide` is its connector."""
