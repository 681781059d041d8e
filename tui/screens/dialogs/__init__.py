"""Windows that lie over a screen and ask or tell one thing."""
