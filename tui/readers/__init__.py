"""Plain data for the screens and the verbs: no Textual here."""
