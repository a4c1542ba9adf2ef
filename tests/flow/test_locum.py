"""A locum passes until her last day and no longer; a successor brings no records but her own; a newer agreement."""
