"""The reasons to copy, one file each; all are entry points of the group `dynamo.proposers`."""
