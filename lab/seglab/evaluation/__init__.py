"""How good a classifier is: its answers, held against what the lab knows of each session."""

from seglab.evaluation.evaluation import Evaluation, evaluate

__all__ = ["Evaluation", "evaluate"]
