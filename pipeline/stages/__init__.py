"""One stage, one file, one shape: `run(settings, run_dir, events) -> None`."""
