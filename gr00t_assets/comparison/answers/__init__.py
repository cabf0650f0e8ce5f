"""Answers: a question a factor, in a sentence, with its evidence and its limits."""

from gr00t_assets.comparison.answers.answer import Answer
from gr00t_assets.comparison.answers.answering import all_answers, answer, answers_from
from gr00t_assets.comparison.answers.verdict import verdict_in_short

__all__ = ["Answer", "all_answers", "answer", "answers_from", "verdict_in_short"]
