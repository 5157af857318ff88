"""Looking for translations: greedy and beam search over any stepper, and scoring translations that are given."""
