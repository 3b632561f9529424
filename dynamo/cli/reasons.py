"""The reasons of refusals and delays in words that a user understands."""

WORDS: dict[str, str] = {
    "bad-request": "the call was malformed",
    "invalid": "the call makes no sense as it stands",
    "name-invalid": "the name is not allowed",
    "too-large": "too much in one call",
    "unauthenticated": "no valid token",
    "permission-denied": "not allowed",
    "not-your-namespace": "the name lies outside the owner's namespace",
    "source-not-allowed": "Dynamo may not read from there for this site",
    "not-found": "nothing of that name",
    "dataset-unknown": "no such dataset",
    "block-unknown": "no such block",
    "file-unknown": "no such file",
    "site-unknown": "no such site",
    "name-conflict": "the name is taken by something else",
    "dataset-closed": "the dataset takes no more files",
    "block-closed": "the block takes no more files",
    "being-deleted": "it is being deleted",
    "last-copy": "it is the last good copy",
    "in-use": "it is being read or written",
    "already-ended": "the request has ended",
    "idempotency-conflict": "the same key was used for another call",
    "site-not-ready": "the site is not ready",
    "site-failing": "the site keeps failing and rests for a while",
    "site-busy": "the site is as busy as it may be",
    "no-quota": "the site gives this share of storage no quota",
    "quota-exceeded": "the quota is used up",
    "storage-full": "the storage is full",
    "switched-off": "an operator has stopped this",
    "service-busy": "the service is busy",
    "not-uploaded": "the job has not uploaded it yet",
    "booking-expired": "the job never uploaded it in time",
    "source-missing": "the source is not there",
    "source-error": "the source cannot be read",
    "destination-error": "the destination cannot be written",
    "transfer-error": "the copy broke off",
    "checksum-mismatch": "size or checksum is not what was promised",
    "queue-timeout": "it waited too long in a queue",
    "worker-lost": "workers died over it again and again",
    "no-source": "no site has a good copy to read now",
    "waiting": "waits for something else to end first",
    "needs-decision": "a person must decide",
    "internal": "a fault of Dynamo; its log knows more",
    "stageout-timeout": "not done within the time that was given",
}
"""One phrase per reason."""


def words(reason: str | None) -> str:
    """Return the phrase; a reason that a newer service made up speaks for itself."""
    return WORDS.get(reason or "", reason or "")
