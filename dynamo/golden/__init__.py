"""Golden cases of the first Dynamo, answered by the engines."""
