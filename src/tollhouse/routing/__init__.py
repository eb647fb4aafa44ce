"""Which target a request goes to: pure decisions, and the state machines they read. `docs/routing.md` tells the whole.

Time is an argument everywhere (seconds of one monotonic clock), and so is chance (a seed, or a draw from [0, 1)).
"""
