"""`python -m tui`: the same as `headwater`."""

from tui.cli import main

main(prog_name="headwater")
