"""Where samples come from: pictures on disk, ink, and formulas drawn on demand."""
