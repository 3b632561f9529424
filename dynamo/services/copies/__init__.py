"""Copy requests: filed, planned, completed, consolidated, withdrawn."""
