# ruff: noqa: UP006, UP007, UP028, UP035, UP045, PTH100, PTH112, PTH118, PTH119, PTH120, PTH123
# Python 3.6 reads this file, so types and paths are written as it knows them.
"""The client of job wrappers: inject output, request copies and closures, find files.

One file, standard library only, Python 3.6 and later; a module and a script at once:

    python3 client.py inject /Higgs/alice-v1/USER --site T2_US_MIT out_1.root out_2.root --wait

Every call is safe to repeat. The client repeats it for `patience` seconds after connection errors,
answers that do not come from the service, and the statuses 408, 425, 429, 500, 502, 503 and 504.
A job may die at any point: run the same command again.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 refused (permission or quota), 4 temporary (run the
same command again later), 5 partial. With `--cms` a failure exits with the low eight bits of CMS's
exit code for its reason.
"""

import argparse
import http.client
import json
import os
import random
import re
import shlex
import shutil
import ssl
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
import zlib
from typing import (
    IO,
    Any,
    Callable,
    Dict,
    FrozenSet,
    Iterable,
    Iterator,
    List,
    NamedTuple,
    Optional,
    Tuple,
    Union,
)

Json = Dict[str, Any]
Progress = Callable[[int], None]
Sites = Union[str, List[str]]
Fits = Callable[[Any], bool]

OK, FAILED, USAGE, REFUSED, TEMPORARY, PARTIAL = range(6)
"""The exit codes."""

OWN_REASONS = {"stageout-timeout": "not done within the time that was given"}
"""Reasons that only this file gives, in words; all others are of the service's list."""

CMS_CODES = {
    "quota-exceeded": 60323,
    "storage-full": 60321,
    "no-quota": 60323,
    "queue-timeout": 60325,
    "destination-error": 60327,
    "permission-denied": 60322,
    "not-your-namespace": 60322,
    "source-not-allowed": 60322,
    "unauthenticated": 60322,
    "transfer-error": 60328,
    "source-error": 60326,
    "source-missing": 60302,
    "checksum-mismatch": 60451,
    "name-invalid": 60307,
    "name-conflict": 60307,
    "service-busy": 60320,
    "stageout-timeout": 60317,
    "booking-expired": 60317,
}
"""CMS's exit code of each reason; others are 60307, a failed stage-out."""

ENDED = frozenset(["done", "failed", "cancelled"])
SETTLED = ENDED | frozenset(["held"])
"""States that do not change soon."""

REFUSALS = frozenset(
    [
        "permission-denied",
        "not-your-namespace",
        "source-not-allowed",
        "unauthenticated",
        "quota-exceeded",
        "storage-full",
        "no-quota",
    ]
)
"""Reasons that are refusals, also if the client itself raises them."""

COLLECTIONS = {
    "injection": "injections",
    "copy": "copies",
    "closure": "closures",
    "deletion": "deletions",
    "staging": "stagings",
}

REPEATED = frozenset([408, 425, 429, 500, 502, 503, 504])
OWN_WORD = frozenset([401, 413])
"""Refusals that count without the service's reason, as from a proxy."""
BULK = 1000
"""Files in one call: more makes the call slower, not faster."""
CHUNK = 4 * 1024 * 1024
LOOPBACK = frozenset(["127.0.0.1", "localhost", "::1"])


class Problem(Exception):
    """A refused call, or a call without an answer (status 0)."""

    def __init__(
        self,
        status: int,
        reason: str,
        detail: str,
        *,
        retryable: bool,
        answer: Optional[Json] = None,
    ) -> None:
        super().__init__(detail)
        answer = answer or {}
        self.status = status
        self.reason = reason
        self.retryable = retryable
        self.detail = detail
        self.errors = _all(dict, answer.get("errors"))  # type: List[Json]
        self.alternatives = _all(str, answer.get("alternatives"))  # type: List[str]
        self.trace = answer.get("trace")  # type: Optional[str]
        """The X-Request-ID of the call in the service's logs."""
        self.request = None  # type: Optional[Json]
        """The request waited for: it is filed, only reading its state failed."""

    @classmethod
    def final(cls, reason: str, detail: str) -> "Problem":
        """Return a problem of the client that a repetition does not solve."""
        return cls(0, reason, detail, retryable=False)

    @classmethod
    def passing(cls, reason: str, detail: str) -> "Problem":
        """Return a problem of the client that may pass."""
        return cls(0, reason, detail, retryable=True)

    @classmethod
    def read(cls, status: int, headers: Any, body: bytes) -> "Problem":
        """Return the problem of an unsuccessful answer, from the service or a proxy."""
        answer = dict(_object(body), trace=headers.get("X-Request-ID"))
        known = "service-busy" if status in REPEATED else "bad-request"
        if status == 401:
            known = "unauthenticated"
        detail = answer.get("detail") or answer.get("title") or f"the service answered {status}"
        reason, retryable = (
            answer.get("reason") or known,
            answer.get("retryable", status in REPEATED),
        )
        return cls(status, str(reason), str(detail), retryable=bool(retryable), answer=answer)

    @property
    def exit_code(self) -> int:
        """Return the exit code of a command."""
        if self.request is not None and self.reason == "unauthenticated":
            return TEMPORARY  # a repetition may have a new token
        if self.status in (401, 403, 507) or self.reason in REFUSALS:
            return REFUSED
        return TEMPORARY if self.retryable else FAILED

    @property
    def cms_code(self) -> int:
        """Return CMS's exit code for the reason."""
        return CMS_CODES.get(self.reason, 60307)

    def describe(self) -> Json:
        """Return the problem as JSON values."""
        return {
            "status": self.status,
            "reason": self.reason,
            "retryable": self.retryable,
            "detail": self.detail,
            "errors": self.errors,
            "alternatives": self.alternatives,
            "trace": self.trace,
            "request": self.request,
            "exit_code": self.exit_code,
            "cms_code": self.cms_code,
        }


# --- checks of answers ---------------------------------------------------------------------------


def _all(kind: Any, listed: Any) -> List[Any]:
    return [item for item in listed if isinstance(item, kind)] if isinstance(listed, list) else []


def _object(body: bytes) -> Json:
    """Return a JSON object; an empty one for anything else."""
    try:
        answer = json.loads(body.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}


def _is_object(answer: Any) -> bool:
    return isinstance(answer, dict)


def _is_list(answer: Any) -> bool:
    return isinstance(answer, list) and all(isinstance(item, dict) for item in answer)


def _is_request(answer: Any) -> bool:
    try:
        files = answer["progress"]["files"]
        numbers, texts = (
            (answer["id"], files["done"], files["total"]),
            (answer["kind"], answer["state"]),
        )
        listed = _is_list(answer["problems"])
    except (KeyError, TypeError):
        return False
    return (
        listed
        and all(isinstance(each, int) for each in numbers)
        and all(isinstance(each, str) for each in texts)
    )


def _is_me(answer: Any) -> bool:
    return isinstance(answer, dict) and isinstance(answer.get("namespace"), str)


def _is_page(answer: Any) -> bool:
    return isinstance(answer, dict) and _is_list(answer.get("items"))


def _is_file(answer: Json) -> bool:
    replicas = answer.get("replicas")
    return _is_list(replicas) and all(
        {"site", "state", "pfn"} <= set(replica) for replica in replicas or ()
    )


def _books(lfns: Iterable[str]) -> Fits:
    """Return a check that an answer books all of these names."""
    wanted = frozenset(lfns)

    def fits(answer: Any) -> bool:
        if not _is_request(answer) or not _is_list(answer.get("files")):
            return False
        urls = {file.get("lfn"): file.get("upload_url") for file in answer["files"]}
        texts = all(url is None or isinstance(url, str) for url in urls.values())
        return texts and wanted <= set(urls)

    return fits


# --- tokens --------------------------------------------------------------------------------------


SHARED = "/tmp"  # noqa: S108 - by the standard
"""The last folder to search for tokens."""


def find_token() -> Optional[str]:
    """Return a bearer token by the WLCG bearer-token discovery; None without one.

    A file that other users own or can read is refused, as it is not secret. An empty file is
    skipped.
    """
    if os.environ.get("BEARER_TOKEN", "").strip():
        return os.environ["BEARER_TOKEN"].strip()
    for path in _token_files():
        token = _read_token(path)
        if token:
            return token
    return None


def _token_files() -> Iterator[str]:
    if os.environ.get("BEARER_TOKEN_FILE"):
        yield os.environ["BEARER_TOKEN_FILE"]
    name = f"bt_u{os.geteuid()}"
    for folder in (os.environ.get("XDG_RUNTIME_DIR"), SHARED):
        if folder and os.path.lexists(os.path.join(folder, name)):
            yield os.path.join(folder, name)


def _read_token(path: str) -> str:
    # in a shared folder, others may plant a link to another secret of the user
    shared = os.O_NOFOLLOW if os.path.dirname(path) == SHARED else 0
    try:
        number = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | shared)
    except OSError as error:
        detail = f"the token file {path} cannot be read: {error.strerror}"
        raise Problem.final("unauthenticated", detail) from error
    with os.fdopen(number) as file:
        # the open file, so that it cannot be exchanged in between
        status = os.fstat(file.fileno())
        if (
            not stat.S_ISREG(status.st_mode)
            or status.st_uid != os.geteuid()
            or status.st_mode & 0o077
        ):
            rule = "must be a file of your own that nobody else can read (chmod 600)"
            raise Problem.final("unauthenticated", f"the token file {path} {rule}")
        try:
            return file.read(1024 * 1024).strip()
        except (OSError, ValueError) as error:
            detail = f"the token file {path} contains no token"
            raise Problem.final("unauthenticated", detail) from error


# --- files ---------------------------------------------------------------------------------------


class Output(NamedTuple):
    """A file that a job wrote, and its future name."""

    path: str
    lfn: str
    size: int
    adler32: str


def _announced(output: Output) -> Json:
    return {"lfn": output.lfn, "size": output.size, "adler32": padded(output.adler32)}


def _ignore(_n: int) -> None:
    pass


def _read(file: IO[bytes], progress: Progress) -> Iterator[bytes]:
    while True:
        chunk = file.read(CHUNK)
        if not chunk:
            return
        yield chunk
        progress(len(chunk))


def padded(adler32: str) -> str:
    """Return an Adler-32 as eight lower-case hex digits. Raises Problem."""
    digits = adler32.strip().lower()
    if not re.match(r"[0-9a-f]{1,8}\Z", digits):
        raise Problem.final("name-invalid", f"{adler32!r} is not an Adler-32 in hex digits")
    return digits.zfill(8)


def describe(path: str, lfn: str, progress: Progress = _ignore) -> Output:
    """Read a file and return its size and Adler-32, eight lower-case hex digits.

    Raises Problem: source-missing for an absent file, source-error for an unreadable one.
    """
    size, value = 0, 1
    try:
        with open(path, "rb") as file:
            for chunk in _read(file, progress):
                size, value = size + len(chunk), zlib.adler32(chunk, value)
    except OSError as error:
        detail = f"the output file {path} cannot be read: {error.strerror}"
        if isinstance(error, FileNotFoundError):
            raise Problem.final("source-missing", detail) from error
        raise Problem.passing("source-error", detail) from error
    return Output(os.path.abspath(path), lfn, size, "%08x" % (value & 0xFFFFFFFF))


def source_url(path: str) -> str:
    """Return the `file:` URL of a path."""
    return "file://" + urllib.parse.quote(os.path.abspath(path))


def upload(output: Output, url: str, command: Optional[str] = None) -> None:
    """Write a file to its upload address, and check the bytes on the way.

    Python writes to `file:` addresses. `command` writes to others; it may contain {source} and
    {target} (default: gfal-copy, else xrdcp).
    """
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "file" and command is None:
        _upload_locally(output, urllib.parse.unquote(parts.path))
    else:
        _upload_by_command(output, url, command or _copier())


def _upload_locally(output: Output, target: str) -> None:
    folder = os.path.dirname(target)
    if not os.path.isdir(folder):
        # the service makes the folder: made here, it would be on the local disk instead
        cause = "the storage is not mounted here, or was unavailable at the booking"
        detail = f"{output.lfn}: {folder} does not exist; {cause}"
        raise Problem.passing("destination-error", detail)
    size, value = 0, 1
    try:
        with open(output.path, "rb") as source, open(target, "wb") as file:
            os.fchmod(file.fileno(), 0o644)  # the service reads it under another identity
            for chunk in _read(source, _ignore):
                size, value = size + len(chunk), zlib.adler32(chunk, value)
                file.write(chunk)
    except OSError as error:
        reason = "source-error" if error.filename == output.path else "destination-error"
        raise Problem.passing(reason, f"{output.lfn} could not be written: {error}") from error
    if (size, "%08x" % (value & 0xFFFFFFFF)) != (output.size, padded(output.adler32)):
        raise Problem.final("checksum-mismatch", f"{output.path} changed while it was copied")


def _copier() -> str:
    for program, line in (
        ("gfal-copy", "gfal-copy -f -p -t 2400 -T 2400 -K ADLER32 {source} {target}"),
        ("xrdcp", "xrdcp -f -p --cksum adler32 {source} {target}"),
    ):
        if shutil.which(program):
            return line
    raise Problem.final(
        "destination-error", "neither gfal-copy nor xrdcp is installed; give a --copy-command"
    )


def _upload_by_command(output: Output, url: str, command: str) -> None:
    try:
        words = [
            word.format(source=source_url(output.path), target=url) for word in shlex.split(command)
        ]
    except (IndexError, KeyError, ValueError) as error:
        detail = f"the copy command {command!r} must name {{source}} and {{target}} only"
        raise Problem.final("destination-error", detail) from error
    try:
        process = subprocess.run(  # noqa: S603 - the user's own command
            words,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=3600,
        )
    except subprocess.TimeoutExpired as error:
        raise Problem.passing(
            "stageout-timeout", f"copying {output.lfn} took more than an hour"
        ) from error
    except OSError as error:
        raise Problem.final(
            "destination-error", f"{words[0]} cannot be run: {error.strerror}"
        ) from error
    if process.returncode != 0:
        last = process.stdout.decode("utf-8", "replace").strip()[-300:]
        raise Problem.passing(
            "destination-error", f"{words[0]} ended with {process.returncode}: {last}"
        )


# --- the service ---------------------------------------------------------------------------------


class _Stay(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: it would send the token to another server."""

    def redirect_request(self, *_args: Any, **_kwargs: Any) -> None:
        return None


class Dynamo:
    """A Dynamo service, called by one user."""

    def __init__(
        self,
        address: str,
        token: Optional[str] = None,
        timeout: float = 60.0,
        patience: float = 900.0,
        pause: float = 1.0,
    ) -> None:
        """Take the address of the service.

        `timeout` is the longest silence of a call, `patience` the time to repeat a call, and
        `pause` the first pause between two attempts (doubled each time, at most a minute), all in
        seconds. Without `token`, the token is searched at each call, as it may be renewed.
        """
        parts = urllib.parse.urlsplit(address)
        _ = parts.port  # raises ValueError for a bad port
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(
                f"{address!r} is not an address; write for example https://dynamo.example.org"
            )
        self.address = address.rstrip("/")
        self._token = token
        self._timeout = timeout
        self._patience = patience
        self._pause = pause
        proxies = [urllib.request.ProxyHandler({})] if parts.hostname in LOOPBACK else []
        self._opener = urllib.request.build_opener(_Stay, *proxies)

    def __repr__(self) -> str:
        return f"Dynamo({self.address!r})"

    @property
    def token(self) -> Optional[str]:
        """Return the token of the next call."""
        return self._token or find_token()

    # requests

    def inject(
        self, dataset: str, site: Sites, files: Iterable[Json], key: Optional[str] = None
    ) -> Json:
        """Inject files: Dynamo pulls files with a `source` and books the others, see `book`."""
        body = {"dataset": dataset, "site": site, "files": list(files)}
        return self.post("/v1/injections", body, key, _is_request)

    def book(
        self, dataset: str, site: Sites, outputs: Iterable[Output], key: Optional[str] = None
    ) -> Json:
        """Reserve names and space; the answer has the addresses to `upload` to before `confirm`."""
        files = [_announced(output) for output in outputs]
        body = {"dataset": dataset, "site": site, "files": files}
        return self.post("/v1/injections", body, key, _books(file["lfn"] for file in files))

    def confirm(self, request_id: int, lfns: Optional[Iterable[str]] = None) -> Json:
        """Report that booked files (all, or the named ones) are uploaded."""
        body = {} if lfns is None else {"lfns": list(lfns)}  # type: Json
        return self.post(f"/v1/injections/{request_id}/uploaded", body, None, _is_request)

    def copy(self, dataset: str, site: Sites, key: Optional[str] = None, **options: Any) -> Json:
        """Request a copy; options: blocks, consolidate, copies, group, spread."""
        return self.post("/v1/copies", dict(options, dataset=dataset, site=site), key, _is_request)

    def close(self, dataset: str, key: Optional[str] = None) -> Json:
        """Close a dataset: it takes no more files."""
        return self.post("/v1/closures", {"dataset": dataset}, key, _is_request)

    def delete(self, dataset: str, key: Optional[str] = None, **options: Any) -> Json:
        """Delete a dataset, or the part that blocks, lfns and site select."""
        return self.post("/v1/deletions", dict(options, dataset=dataset), key, _is_request)

    # states of requests

    def request(self, kind: str, request_id: int) -> Json:
        """Return a request; `kind` is injection, copy, closure, deletion or staging."""
        return self.get(f"/v1/{COLLECTIONS[kind]}/{request_id}", fits=_is_request)

    def requests(self, kind: str, **filters: Any) -> Iterator[Json]:
        """Yield requests of a kind, filtered by state, dataset or owner."""
        return self.items("/v1/" + COLLECTIONS[kind], **filters)

    def cancel(self, kind: str, request_id: int) -> Json:
        """Cancel the open part of a request."""
        return self.call("DELETE", f"/v1/{COLLECTIONS[kind]}/{request_id}")

    def wait(
        self,
        request: Json,
        seconds: float = 86400.0,
        states: Iterable[str] = ENDED,
        seen: Optional[Callable[[Json], None]] = None,
    ) -> Json:
        """Read a request until it is in one of the states, and return it.

        `seen` is called with each answer. Raises Problem `stageout-timeout` when the time is over;
        all problems name the request.
        """
        try:
            return self._settled(request["kind"], request["id"], seconds, frozenset(states), seen)
        except Problem as problem:
            problem.request = {"kind": request["kind"], "id": request["id"]}
            problem.retryable = problem.retryable or problem.reason == "unauthenticated"
            raise

    def _settled(
        self,
        kind: str,
        request_id: int,
        seconds: float,
        states: FrozenSet[str],
        seen: Optional[Callable[[Json], None]],
    ) -> Json:
        end, pause = time.monotonic() + seconds, 0.2
        while True:
            request = self.request(kind, request_id)
            if seen is not None:
                seen(request)
            if request["state"] in states:
                return request
            if time.monotonic() + pause > end:
                state = f"{kind} {request_id} is still {request['state']}"
                raise Problem.passing("stageout-timeout", f"{state} after {seconds:.0f} s")
            time.sleep(pause)
            pause = min(pause * 1.3, 15.0)

    # reading

    def me(self) -> Json:
        """Return the caller: `user`, and `namespace`, the folder of that user's files."""
        return self.get("/v1/me", fits=_is_me)

    def dataset(self, name: str) -> Json:
        """Return a dataset by its name with the first slash."""
        return self.get("/v1/datasets/" + urllib.parse.quote(name.lstrip("/")))

    def items(self, collection: str, **filters: Any) -> Iterator[Json]:
        """Yield all items of a collection such as `/v1/files`, page by page."""
        query = {name: value for name, value in filters.items() if value is not None}
        query.setdefault("limit", 1000)
        while True:
            page = self.get(collection, query, _is_page)
            for item in page["items"]:
                yield item
            if not page.get("next"):
                return
            query["cursor"] = page["next"]

    # calls

    def get(self, path: str, query: Optional[Json] = None, fits: Fits = _is_object) -> Json:
        """Return the answer of a GET."""
        given = {name: value for name, value in (query or {}).items() if value is not None}
        address = path + ("?" + urllib.parse.urlencode(given) if given else "")
        return self.call("GET", address, fits=fits)

    def put(self, path: str, body: Json) -> Json:
        """Set a value; repeating it changes nothing."""
        return self.call("PUT", path, body)

    def post(
        self, path: str, body: Any, key: Optional[str] = None, fits: Fits = _is_object
    ) -> Json:
        """File something once, however often the call is repeated."""
        return self.call("POST", path, body, {"Idempotency-Key": key or uuid.uuid4().hex}, fits)

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Optional[Dict[str, str]] = None,
        fits: Fits = _is_object,
    ) -> Json:
        """Make a call, repeat it while that can help, and return the JSON of the answer.

        An answer that does not fit is not the service's, and counts as no answer.
        """
        end, pause, renewed = time.monotonic() + self._patience, self._pause, False
        while True:
            token = self.token
            try:
                answer = self._once(method, path, body, dict(headers or {}, **_bearer(token)))
                if fits(answer):
                    return answer  # type: ignore[no-any-return]
                strange = ValueError("an unexpected answer")
                raise _Failed.unanswered(self.address, strange)
            except _Failed as failure:
                if failure.problem.status == 401 and not renewed and self.token != token:
                    renewed = True  # the token file was renewed meanwhile
                    continue
                wait = max(pause * random.uniform(0.5, 1.0), failure.after)
                if not failure.again or time.monotonic() + wait > end:
                    raise failure.problem from None
            time.sleep(wait)
            pause = min(pause * 2, 60.0)

    def _once(self, method: str, path: str, body: Any, headers: Dict[str, str]) -> Any:
        data = None if body is None else json.dumps(body).encode("utf-8")
        request = urllib.request.Request(  # noqa: S310 - only http(s), see __init__
            self.address + path, data=data, headers=headers, method=method
        )
        request.add_header("Accept", "application/json")
        request.add_header("User-Agent", "dynamo-client/1")
        if data is not None:
            request.add_header("Content-Type", "application/json")
        try:
            with self._opener.open(request, timeout=self._timeout) as answer:
                return json.loads(answer.read().decode("utf-8"))
        except urllib.error.HTTPError as error:
            raise _Failed.answered(self.address, error) from None
        except (OSError, http.client.HTTPException, ValueError, RecursionError) as error:
            raise _Failed.unanswered(self.address, error) from None


class _Failed(Exception):
    """A failed attempt: its problem, whether to repeat it, and after how many seconds."""

    def __init__(self, problem: Problem, *, again: bool, after: float = 0.0) -> None:
        super().__init__(problem.detail)
        self.problem = problem
        self.again = again
        self.after = after

    @classmethod
    def answered(cls, address: str, error: urllib.error.HTTPError) -> "_Failed":
        """Return the failure for an answer of the service, or of a proxy.

        Only the service refuses finally: a proxy may answer differently next time.
        """
        with error:
            try:
                body = error.read()
            except (OSError, http.client.HTTPException):
                body = b""
        refused = 400 <= error.code < 500 and error.code not in REPEATED | OWN_WORD
        if refused and not isinstance(_object(body).get("reason"), str):
            strange = ValueError(f"{error.code} from a proxy")
            return cls.unanswered(address, strange)
        problem = Problem.read(error.code, error.headers, body)
        after = _seconds(error.headers.get("Retry-After"))
        return cls(problem, again=error.code in REPEATED, after=after)

    @classmethod
    def unanswered(cls, address: str, error: Exception) -> "_Failed":
        """Return the failure for a connection that broke off, or an answer without JSON."""
        cause = getattr(error, "reason", error)
        final = isinstance(cause, ssl.SSLError) and "CERTIFICATE_VERIFY_FAILED" in str(cause)
        detail = f"{address} does not answer: {cause or type(cause).__name__}"
        return cls(Problem(0, "service-busy", detail, retryable=not final), again=not final)


def _bearer(token: Optional[str]) -> Dict[str, str]:
    if token is None:
        return {}
    if not re.match(r"[\x21-\x7e]+\Z", token):
        # http.client would raise too, but with the token in its message
        raise Problem.final("unauthenticated", "the bearer token contains invalid characters")
    return {"Authorization": "Bearer " + token}


def _seconds(text: Optional[str]) -> float:
    """Return the seconds of `Retry-After`; 0 for a date."""
    try:
        return max(0.0, float(text or 0))
    except ValueError:
        return 0.0


# --- injection -----------------------------------------------------------------------------------


def pull(service: Dynamo, dataset: str, site: Sites, outputs: Iterable[Output]) -> Json:
    """Let Dynamo pull the files from their place, by one call."""
    files = [dict(_announced(output), source=source_url(output.path)) for output in outputs]
    return service.inject(dataset, site, files)


def push(
    service: Dynamo,
    dataset: str,
    site: Sites,
    outputs: Iterable[Output],
    command: Optional[str] = None,
    progress: Progress = _ignore,
) -> Json:
    """Book, upload and confirm: two calls and a copy in between.

    If a site is full or closed, the alternatives that the service names are tried. A booking that
    expires during the copy is made once more.
    """
    outputs = list(outputs)
    try:
        return _pushed(service, dataset, site, outputs, command, progress)
    except Problem as problem:
        if problem.reason != "booking-expired":
            raise
        expired = problem
    try:
        return _pushed(service, dataset, site, outputs, command, _ignore)
    except Problem as problem:
        # the names of an expired booking are free only after its deletion
        raise (expired if problem.reason == "being-deleted" else problem) from None


def _pushed(
    service: Dynamo,
    dataset: str,
    site: Sites,
    outputs: List[Output],
    command: Optional[str],
    progress: Progress,
) -> Json:
    request = _anywhere(lambda where: service.book(dataset, where, outputs), site)
    booked = {file["lfn"]: file for file in request["files"]}
    for output in outputs:
        # no address: an earlier run of this job confirmed the file
        if booked[output.lfn].get("upload_url"):
            _patiently(lambda out=output: upload(out, booked[out.lfn]["upload_url"], command))  # type: ignore[misc]
        progress(output.size)
    return service.confirm(request["id"])


def hand_over(
    service: Dynamo,
    dataset: str,
    site: Sites,
    outputs: Iterable[Output],
    command: Optional[str] = None,
    progress: Progress = _ignore,
) -> Json:
    """Pull the files; push them if Dynamo may not read them or the site has no space."""
    outputs = list(outputs)
    try:
        request = pull(service, dataset, site, outputs)
    except Problem as problem:
        if problem.reason != "source-not-allowed" and not problem.alternatives:
            raise
        return push(service, dataset, site, outputs, command, progress)
    progress(sum(output.size for output in outputs))
    return request


def _anywhere(ask: Callable[[Sites], Json], site: Sites) -> Json:
    tried = [site] if isinstance(site, str) else list(site)
    while True:
        try:
            return ask(site)
        except Problem as problem:
            untried = [other for other in problem.alternatives if other not in tried]
            if not untried:
                raise
            site = untried[0]
            tried.append(site)


def _patiently(copy: Callable[[], None], tries: int = 3, pause: float = 5.0) -> None:
    for remaining in reversed(range(tries)):
        try:
            return copy()
        except Problem as problem:
            if not problem.retryable or not remaining:
                raise
        time.sleep(pause * random.uniform(0.5, 1.0))
    return None


def folder_of(service: Dynamo, dataset: str, prefix: Optional[str] = None) -> str:
    """Return the folder of a dataset's files: `prefix`, or one in the caller's namespace."""
    if prefix is not None:
        return prefix
    return "/".join([service.me()["namespace"], *dataset.strip("/").split("/")[:2]])


def lfn_of(path: str, folder: str) -> str:
    """Return the name of a file in a folder of names."""
    return folder.rstrip("/") + "/" + os.path.basename(path)


def bulks(outputs: List[Output]) -> Iterator[List[Output]]:
    """Split files into calls of at most `BULK` files."""
    for start in range(0, len(outputs), BULK):
        yield outputs[start : start + BULK]


def outcome(request: Json) -> int:
    """Return the exit code of a request that ended or is held."""
    if request["state"] in ("failed", "cancelled"):
        return PARTIAL if request["progress"]["files"]["done"] else FAILED
    return TEMPORARY if request["state"] == "held" else OK


def together(codes: Iterable[int]) -> int:
    """Return one exit code for several; mixed results are partial."""
    distinct = set(codes)
    if len(distinct) > 1:
        return PARTIAL if distinct & {OK, PARTIAL} else min(distinct)
    return distinct.pop() if distinct else OK


# --- the script ----------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--address", default=os.environ.get("DYNAMO_URL"), help="URL of the service (DYNAMO_URL)"
    )
    parser.add_argument(
        "--json", action="store_true", help="print the result as one JSON object on stdout"
    )
    parser.add_argument(
        "--cms", action="store_true", help="exit with CMS's code of the failure, modulo 256"
    )
    parser.add_argument(
        "--patience", type=float, default=900.0, help="seconds to repeat a failing call"
    )
    commands = parser.add_subparsers(dest="command", metavar="inject | wait | where")
    commands.required = True

    inject = commands.add_parser("inject", help="inject output files")
    inject.add_argument("dataset")
    inject.add_argument("files", nargs="+", metavar="FILE")
    inject.add_argument(
        "--site",
        required=True,
        action="append",
        help="site of the job; repeat it for more sites in order of preference",
    )
    inject.add_argument(
        "--lfn-prefix", help="folder of the LFNs; default: your namespace, below the dataset's name"
    )
    way = inject.add_mutually_exclusive_group()
    way.add_argument(
        "--pull", dest="way", action="store_const", const="pull", help="Dynamo fetches the files"
    )
    way.add_argument(
        "--push",
        dest="way",
        action="store_const",
        const="push",
        help="upload the files to the addresses that Dynamo gives",
    )
    inject.add_argument(
        "--copy-command", help="command for uploads, for example 'gfal-copy {source} {target}'"
    )
    inject.add_argument(
        "--wait", type=float, default=None, nargs="?", const=86400.0, metavar="SECONDS"
    )

    wait = commands.add_parser("wait", help="wait until a request has ended")
    wait.add_argument("kind", choices=sorted(COLLECTIONS))
    wait.add_argument("id", type=int)
    wait.add_argument("--seconds", type=float, default=86400.0)

    where = commands.add_parser("where", help="show where a file is")
    where.add_argument("lfn")
    return parser


def _inject(service: Dynamo, given: argparse.Namespace) -> Tuple[int, Json]:
    described = [describe(path, "") for path in given.files]
    folder = folder_of(service, given.dataset, given.lfn_prefix)
    outputs = [output._replace(lfn=lfn_of(output.path, folder)) for output in described]
    site = given.site[0] if len(given.site) == 1 else given.site
    codes, requests, problems = [], [], []  # type: List[int], List[Json], List[Json]
    for bulk in bulks(outputs):
        try:
            request = _one_way(service, given, site, bulk)
        except Problem as problem:
            codes.append(problem.exit_code)
            problems.append(problem.describe())
            continue
        requests.append(request)
        if given.wait is None:
            codes.append(outcome(request))
            continue
        code, requests[-1], failed = _awaited(service, request, given.wait)
        codes.append(code)
        problems += failed
    return together(codes), {"requests": requests, "problems": problems}


def _awaited(service: Dynamo, request: Json, seconds: float) -> Tuple[int, Json, List[Json]]:
    """Wait; return the exit code, the last state of the request, and problems."""
    looks = [request]
    try:
        service.wait(request, seconds, SETTLED, lambda look: looks.__setitem__(0, look))
    except Problem as problem:
        return problem.exit_code, looks[0], [problem.describe()]
    return outcome(looks[0]), looks[0], []


def _one_way(
    service: Dynamo, given: argparse.Namespace, site: Sites, outputs: List[Output]
) -> Json:
    if given.way == "pull":
        return pull(service, given.dataset, site, outputs)
    if given.way == "push":
        return push(service, given.dataset, site, outputs, given.copy_command)
    return hand_over(service, given.dataset, site, outputs, given.copy_command)


def _wait(service: Dynamo, given: argparse.Namespace) -> Tuple[int, Json]:
    asked = {"kind": given.kind, "id": given.id}
    code, seen, problems = _awaited(service, asked, given.seconds)
    return code, {"requests": [seen] if seen is not asked else [], "problems": problems}


def _where(service: Dynamo, given: argparse.Namespace) -> Tuple[int, Json]:
    files = list(service.items("/v1/files", lfn=given.lfn))
    if not files:
        raise Problem.final("file-unknown", f"no file is called {given.lfn}")
    if not all(_is_file(file) for file in files):
        raise Problem.passing("service-busy", "an unexpected answer instead of the service's")
    return OK, {"files": files}


_COMMANDS = {"inject": _inject, "wait": _wait, "where": _where}


def _tell(result: Json) -> None:
    for request in result.get("requests", ()):
        done, total = request["progress"]["files"]["done"], request["progress"]["files"]["total"]
        sys.stdout.write("{kind} {id} {state}: {0} of {1} files\n".format(done, total, **request))
    for file in result.get("files", ()):
        for replica in file["replicas"]:
            sys.stdout.write("{site} {state} {pfn}\n".format(**replica))
    for problem in result.get("problems", ()):
        sys.stderr.write("{reason}: {detail}\n".format(**problem))
        for error in problem["errors"][:20]:
            sys.stderr.write(
                "  {}: {}\n".format(error.get("lfn") or error.get("pointer"), error.get("detail"))
            )


def _cms_code(result: Json) -> int:
    """Return the code of the first problem."""
    for problem in result.get("problems", ()):
        return int(problem["cms_code"])
    for request in result.get("requests", ()):
        for problem in request.get("problems", ()):
            return CMS_CODES.get(str(problem.get("reason")), 60307)
    return 60307


def _misused(detail: str) -> Tuple[int, Json]:
    problem = Problem.final("bad-request", detail).describe()
    return USAGE, {"problems": [dict(problem, exit_code=USAGE)]}


def _run(given: argparse.Namespace) -> Tuple[int, Json]:
    if not given.address:
        return _misused("give the service's URL: --address or DYNAMO_URL")
    try:
        return _COMMANDS[given.command](Dynamo(given.address, patience=given.patience), given)
    except Problem as problem:
        return problem.exit_code, {"problems": [problem.describe()]}
    except (OSError, ValueError) as error:
        return _misused(str(error))


def main(arguments: Optional[List[str]] = None) -> int:
    """Run the script and return its exit code."""
    given = _parser().parse_args(arguments)
    code, result = _run(given)
    result.update(exit_code=code, cms_code=_cms_code(result) if code else 0)
    if given.json:
        sys.stdout.write(json.dumps(result, indent=1, sort_keys=True) + "\n")
    else:
        _tell(result)
    return result["cms_code"] % 256 if code and given.cms else code


if __name__ == "__main__":
    sys.exit(main())
