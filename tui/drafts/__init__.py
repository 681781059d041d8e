"""Changes that have not been saved yet: settings and prompts. No Textual here."""
