"""Pages and cards made from records."""

from thalweg.report.card import card as card
