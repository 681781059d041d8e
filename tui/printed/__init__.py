"""What the verbs of the command line print: tables, comparisons, progress."""
