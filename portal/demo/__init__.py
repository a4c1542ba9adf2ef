"""Who tries it out: a whole observatory played on synthetic records, refused outside demo mode."""
