"""Widgets: state comes in as reactives, intent goes out as messages."""
