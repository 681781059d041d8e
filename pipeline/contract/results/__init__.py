"""What the stages write: one file an artefact, with its columns and keys, writer, reader and rules.

Stages write through this room alone, and everything else reads through it. NumPy, PyArrow and
pydantic are imported on first use, so that importing the room stays instant.
"""
