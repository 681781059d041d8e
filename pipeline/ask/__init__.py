"""A new prompt in seconds: features of every example, a scan of them, and the exact method."""
