"""Models times samples, and a verdict: predictions files, scores, the base-against-tuned comparison, and their pages."""
