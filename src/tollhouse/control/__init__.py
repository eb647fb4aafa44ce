"""What operators ask: is it up, is it ready, what does it measure, what is it configured as. Never on a request's path."""
