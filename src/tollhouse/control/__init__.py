"""What operators ask: is it up, is it ready, what does it measure, how is it set up. Never on a request's path."""
