"""Whether a ranking means anything: models trained again, steps taken, curvature fitted anew."""
