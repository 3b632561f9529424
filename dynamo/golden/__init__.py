"""Golden cases of the first Dynamo, answered by our engines."""
