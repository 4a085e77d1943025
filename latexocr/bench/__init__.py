"""Models times samples, and a verdict: predictions, scores, the comparison of base and tuned, pages."""
