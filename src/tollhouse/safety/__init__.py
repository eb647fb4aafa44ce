"""The local safety classifier, policies over verdicts, and what they are told as."""
