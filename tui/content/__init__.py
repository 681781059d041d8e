"""Text and drawings that widgets show; no widget here."""
