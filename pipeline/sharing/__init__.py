"""How several processes, here or on other machines, do the work of one stage over one folder."""
