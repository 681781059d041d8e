"""The verbs of `headwater …`, by what they are for."""
