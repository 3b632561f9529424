"""Fetches a feed from a file or a web server, with limits of time and size."""

import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from urllib.parse import unquote, urlsplit

from dynamo.errors import Unavailable
from dynamo.reasons import Reason

_CHUNK = 2**18


def fetch(url: str, most: int, seconds: float) -> bytes:
    """Return the document at a `file:///`, http or https URL that an operator configured.

    Raises Unavailable if it cannot be read completely within `seconds`, or is larger than `most`
    bytes. Errors show only the host of the URL.
    """
    end = time.monotonic() + seconds
    pieces: list[bytes] = []
    size = 0
    try:
        with _opened(url, seconds) as stream:
            # read1 returns available bytes, so that a slow server cannot outlast the deadline
            while piece := stream.read1(_CHUNK):
                pieces.append(piece)
                size += len(piece)
                if size > most:
                    raise Unavailable(f"the document is larger than {most} bytes", Reason.TOO_LARGE)
                if time.monotonic() > end:
                    raise Unavailable(
                        f"it was not there within {seconds:g} s", Reason.QUEUE_TIMEOUT
                    )
    except urllib.error.HTTPError as error:
        raise Unavailable(f"the server answered {error.code}", Reason.SOURCE_ERROR) from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        message = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
        raise Unavailable(f"it cannot be read: {message}"[:300], Reason.SOURCE_ERROR) from error
    return b"".join(pieces)


@contextmanager
def _opened(url: str, seconds: float) -> Iterator[BufferedReader | http.client.HTTPResponse]:
    parts = urlsplit(url)
    if parts.scheme == "file":
        with open(unquote(parts.path), "rb") as file:  # noqa: PTH123 - the path of a URL, unchanged
            yield file
        return
    with _opener().open(url, timeout=seconds) as answer:
        yield answer


def _opener() -> urllib.request.OpenerDirector:
    """Return an opener for http and https alone: a server must not redirect to a file."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener
