"""Answers: a question a factor, in a sentence, with its evidence and its limits."""
