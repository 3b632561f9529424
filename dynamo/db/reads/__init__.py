"""What callers look at: statements that only read, every page an indexed seek."""
