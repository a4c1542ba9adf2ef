"""What is kept: Tortoise models and named queries by subject, the log, and the one way to a transaction."""
