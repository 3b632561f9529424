"""The vocabulary of Dynamo: names, states and values. Pure, without I/O."""
