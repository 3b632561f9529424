"""What must always hold, each as a query that finds what breaks it."""
