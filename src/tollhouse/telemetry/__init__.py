"""What the gateway says about itself: log lines, metrics, and nothing secret in either."""
