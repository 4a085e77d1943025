"""Code that a model server loads in its own environment, where latexocr need not be: it imports Python alone."""
