"""Names, states and values: what Dynamo keeps account of, pure."""
