"""The matrix: every client dialect before every upstream dialect, end to end through a whole gateway."""
