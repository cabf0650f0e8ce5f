"""Which release this checkout behaves as."""

JUNE = True
"""June 2025: wrong frames, no future tokens, a resume that fails. Else October 2025."""
