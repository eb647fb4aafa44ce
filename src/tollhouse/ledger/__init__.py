"""Where every request is accounted for: a hold before the upstream is asked, resolved exactly once."""
