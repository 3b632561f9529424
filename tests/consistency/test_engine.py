"""The engine: what a listing proves, what differs, what is due; against a naive reading."""

import hashlib
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynamo.consistency.comparison import Catalogue, compare
from dynamo.consistency.decision import Finding, Kind, ScanLimits, Sighting, judge
from dynamo.consistency.listing import Coverage, Folder, Listed
from dynamo.consistency.name_hashes import of_digests
from tests.consistency import naive
from tests.consistency.naive import Tree

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
CAREFUL = ScanLimits(24 * HOUR, 12 * HOUR, files=100, bytes=10**6, share=0.5, few=3)
NAMES = [f"/s/{a}/{b}/{c}" for a in "ab" for b in "xy" for c in "12"] + ["/s/a/1", "/s/0"]


def listing(tree: Tree, area: str = "/s") -> list[Folder]:
    """List a tree as a storage does: from the top, as far as folders can be read."""
    found = []
    waiting = [area]
    while waiting:
        path = waiting.pop()
        below = sorted(
            {
                name.removeprefix(f"{path}/").partition("/")[0]
                for name in tree.folders()
                if name.startswith(f"{path}/")
            }
        )
        if path in tree.failed:
            found.append(Folder(path, complete=False))
            continue
        found.append(Folder(path, below))
        waiting += [f"{path}/{name}" for name in below if f"{path}/{name}" not in tree.lost]
    return found


def digest(name: str) -> bytes:
    """Return 16 bytes, of which the first half is the same for many names."""
    whole = hashlib.blake2b(name.encode(), digest_size=8).digest()
    return bytes([whole[0] % 2] * 8) + whole


def columns(files: dict[str, int]) -> Listed:
    names = list(files)
    return Listed(
        names,
        of_digests([digest(name) for name in names]),
        np.array(list(files.values()), np.int64),
        np.zeros(len(names), np.int64),
    )


def catalogue(known: dict[str, tuple[int, bool]]) -> Catalogue:
    return Catalogue(
        of_digests([digest(name) for name in known]),
        np.arange(len(known)),
        np.array([size for size, _ in known.values()], np.int64),
        np.array([sure for _, sure in known.values()], np.bool_),
    )


FILES = st.dictionaries(st.sampled_from(NAMES), st.integers(0, 3))
KNOWN = st.dictionaries(st.sampled_from(NAMES), st.tuples(st.integers(-1, 3), st.booleans()))
FOLDERS = st.frozensets(
    st.sampled_from(["/s", "/s/a", "/s/b", "/s/a/x", "/s/b/y", "/s/b/x"]), max_size=2
)


@given(FILES, KNOWN, KNOWN, FOLDERS, FOLDERS)
@settings(max_examples=400, deadline=None)
def test_what_differs_is_what_a_naive_reading_finds(files, before, after, failed, lost):
    tree = Tree(files, failed, lost - {"/s"})
    folders = listing(tree)
    seen = {folder.path for folder in folders if folder.complete}
    listed = columns({n: s for n, s in files.items() if n.rpartition("/")[0] in seen})
    coverage = Coverage.of(["/s"], folders)

    found = compare(listed, catalogue(before), catalogue(after))

    names = list(before)
    missing = {names[place] for place in found.missing}
    expected = naive.differences(tree, before, after)
    assert {listed.names[place] for place in found.dark} == expected[Kind.DARK]
    assert {names[place] for place in found.wrong} == expected[Kind.WRONG]
    assert [listed.names[place] for place in found.found] == [names[p] for p in found.wrong]
    if tree.folders():
        assert {n for n in missing if coverage.proves_absent(n)} == expected[Kind.MISSING]


MOMENTS = st.integers(0, 60).map(lambda hours: NOW - hours * HOUR)
FINDINGS = st.dictionaries(
    st.sampled_from(NAMES),
    st.builds(
        Finding,
        st.sampled_from(list(Kind)),
        st.just(""),
        st.integers(0, 3) | st.just(400_000),
        st.none() | MOMENTS,
    ),
).map(lambda some: [Finding(f.kind, lfn, f.size, f.modified) for lfn, f in some.items()])


@given(st.data(), FINDINGS, st.integers(0, 12))
@settings(max_examples=300, deadline=None)
def test_what_is_due_is_what_a_naive_reading_says(data, findings, n_files):
    earlier = {}
    for finding in findings:
        if data.draw(st.booleans()):
            changed = data.draw(st.sampled_from([0, 0, 0, 1]))
            first = data.draw(MOMENTS)
            size = finding.size + changed
            earlier[finding.lfn] = Sighting(finding.kind, first, size, finding.modified)

    verdict = judge(findings, earlier, n_files, CAREFUL, NOW)

    assert {f.lfn for f in verdict.due} == naive.due(findings, earlier, n_files, CAREFUL, NOW)
    assert verdict.young + len(verdict.seen) == len(findings)


def dark(n: int, size: int = 1) -> list[Finding]:
    return [Finding(Kind.DARK, f"/s/{i}", size, NOW - 100 * HOUR) for i in range(n)]


def seen_before(findings: list[Finding]) -> dict[str, Sighting]:
    first = NOW - 12 * HOUR
    return {f.lfn: Sighting(f.kind, first, f.size, f.modified) for f in findings}


@pytest.mark.parametrize(("more", "acted"), [(-1, True), (0, True), (1, False)])
@pytest.mark.parametrize(
    ("limits", "at", "size", "n_files"),
    [
        (ScanLimits(HOUR, HOUR, files=5, bytes=10**6, share=1.0, few=0), 5, 1, 1000),
        (ScanLimits(HOUR, HOUR, files=10**6, bytes=50, share=1.0, few=0), 5, 10, 1000),
        # one per cent is 0.01: of 500 files 5, of 50 none
        (ScanLimits(HOUR, HOUR, files=10**6, bytes=10**6, share=0.01, few=0), 5, 1, 500),
        (ScanLimits(HOUR, HOUR, files=10**6, bytes=10**6, share=0.01, few=5), 5, 1, 50),
    ],
    ids=["files", "bytes", "share", "few"],
)
def test_at_a_limit_it_acts_and_above_it_nothing_is_done(limits, at, size, n_files, more, acted):
    findings = dark(at + more, size)

    verdict = judge(findings, seen_before(findings), n_files, limits, NOW)

    assert len(verdict.due) == (len(findings) if acted else 0)
    assert (verdict.held is None) is acted


def test_too_many_dark_files_hold_back_the_missing_ones_as_well():
    limits = ScanLimits(HOUR, HOUR, files=5, bytes=10**6, share=1.0, few=0)
    findings = [*dark(6), Finding(Kind.MISSING, "/s/gone", 1)]

    assert judge(findings, seen_before(findings), 100, limits, NOW).due == ()


def test_a_link_or_pipe_is_neither_dark_nor_takes_the_place_of_a_file():
    listed = columns({"/s/link": -1, "/s/known": -1})
    known = catalogue({"/s/known": (1, True)})

    found = compare(listed, known, known)

    assert [len(one) for one in (found.dark, found.missing, found.wrong)] == [0, 0, 0]


def test_a_folder_that_was_told_twice_and_differently_proves_nothing():
    coverage = Coverage.of(["/s"], [Folder("/s", ["a"]), Folder("/s", ["b"])])

    assert not coverage.proves_absent("/s/x")
    assert coverage.unlisted == ["/s"]


def test_names_outside_of_what_was_listed_are_never_absent():
    coverage = Coverage.of(["/s/user"], [Folder("/s/user")])

    assert coverage.proves_absent("/s/user/alice/x")
    assert not coverage.proves_absent("/s/userx")
    assert not coverage.proves_absent("/s/data/x")
