"""The comparison: which runs may be set side by side, what they show, and what to run next."""
