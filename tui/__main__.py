"""`python -m tui`: the same as `headwater`."""

from tui.entry import main

main()
