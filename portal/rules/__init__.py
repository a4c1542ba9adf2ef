"""What is decided: pure functions over closed words. No input, output, clock, chance or framework."""
