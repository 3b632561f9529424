"""The command dynamo."""
