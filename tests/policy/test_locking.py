"""Locks hold what they name, and rather too much than nothing."""

import pytest

from dynamo.golden.cases import load
from dynamo.inventory.snapshot import Lock
from dynamo.policy.image import Image
from dynamo.policy.locking import locked
from tests.detox.drawing import case

PICTURE = "dataset S1 S2\n/A/E/F ABA ABA\n/A/E/G AAA -\n/B/E/F NNN -"


def held(*locks):
    """Return the locked rows as `site dataset block`."""
    snapshot = load(case(PICTURE, "Dismiss")).snapshot
    image = Image.whole(snapshot)
    rows = locked(image, locks).nonzero()[0]
    sites, datasets, blocks = snapshot.sites.labels, snapshot.datasets.labels, snapshot.blocks.names
    places = [(image.site[one], image.dataset[one]) for one in image.replica[rows]]
    return [
        f"{sites[site]} {datasets[dataset]} {blocks[block]}"
        for (site, dataset), block in zip(places, image.block[rows], strict=True)
    ]


@pytest.mark.parametrize(
    ("lock", "count"),
    [
        (Lock("/A/E/F"), 6),
        (Lock("/A/*"), 9),
        (Lock("/A/E/F", sites="S1"), 3),
        (Lock("/A/E/F", sites="S*"), 6),
        (Lock("/A/E/F", sites="nowhere"), 6),
        (Lock("/A/E/F", groups="B"), 2),
        (Lock("/A/E/F", groups="[AC]*"), 4),
        (Lock("/A/E/F", groups="nobody"), 6),
        (Lock("/A/E/F", sites="S2", groups="A"), 2),
        (Lock("/X/Y/Z"), 0),
        (Lock("/B/E/F", groups="*"), 3),
        (Lock("/B/E/F", groups="A"), 0),
    ],
)
def test_a_lock_holds(lock, count):
    assert len(held(lock)) == count


def test_a_lock_on_a_block_holds_that_block_everywhere():
    assert held(Lock("/A/E/F", "b2")) == ["S1 /A/E/F b2", "S2 /A/E/F b2"]
    assert len(held(Lock("/A/*", "b1"), Lock("/A/E/F", "b1"))) == 3
    assert held(Lock("/A/E/F", "b9")) == []


def test_a_block_may_be_locked_by_its_key():
    snapshot = load(case(PICTURE, "Dismiss")).snapshot
    key = int(snapshot.blocks.ids[1])

    assert locked(Image.whole(snapshot), [Lock("/A/E/F", block_id=key)]).sum() == 2
