"""The one room that both sides enter: settings, the run folder, stages, events, errors.

Standard library, pydantic and tomlkit only: importing it must stay instant.
"""
