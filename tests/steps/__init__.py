"""Steps that tests of several stories share."""
