"""Every shape of statement that the public policies of the first Dynamo use can be read."""

import pytest

from dynamo.policy.partitions import read_partition_file
from dynamo.policy.reader import read_policy

SHAPES = r"""
Protect dataset.name == /Aa/Run2016B-v1/RAW
Protect dataset.name == /*/Run201?*/RAW
Delete dataset.name == /Aa/Run2016B-v1/RAW
Delete dataset.name == /Aa*/*/AODSIM
Delete dataset.name =~ /[^/]+/Run201[5-7].+\.x(?:a|)/AOD$
Dismiss dataset.name == /*/*/RECO
Dismiss dataset.name =~ /Aa-[0-9]+/.*
Until never
Until site.occupancy < 0.85
Until site.status != MORGUE and site.occupancy < 0.85
When always
When site.occupancy > 0.9
When site.status == MORGUE
When never
On site.name in [T1_*_Disk T2_* T0_CH_CERN_Disk T3_X]
On site.name in [T2_US_MIT] and site.status == READY
On site.name == T*_MSS and site.status == READY
Protect dataset.name == /*/*/AOD and dataset.name != /Aa/*/AOD
ProtectBlock blockreplica.is_locked
Protect blockreplica.is_locked
Protect replica.has_locked_block
Protect replica.group_name == DataOps and replica.has_locked_block
Ignore site.name == T*_MSS
Protect dataset.on_tape != FULL
Protect dataset.name == /*/*/RAW and dataset.on_tape != FULL
Protect dataset.on_tape == NONE
Protect dataset.on_tape == PARTIAL
Protect replica.incomplete
ProtectBlock dataset.name == /*/*/AOD and blockreplica.owner == AnalysisOps
Dismiss dataset.status == DEPRECATED
Dismiss dataset.status == INVALID
Delete dataset.status == INVALID and dataset.last_update older_than 1 week ago
Protect replica.num_full_other_copy_common_owner == 0 and dataset.name == /*/*/RAW
ProtectBlock blockreplica.is_last_transfer_source
ProtectBlock dataset.on_tape == PARTIAL and not blockreplica.on_tape
ProtectBlock dataset.tape_copy_requested and not blockreplica.on_tape
Delete site.name notin [T2_A T2_B] and replica.num_full_other_copy_common_owner > 0
DeleteBlock blockreplica.owner == DataOps
Dismiss blockreplica.owner == RelVal
Dismiss replica.num_full_other_copy_common_owner > 0
Dismiss dataset.unknown_in_all_dbs
Dismiss dataset.status == UNKNOWN and dataset.last_update older_than 3 months ago
Dismiss dataset.name == /*/*/RECO and dataset.on_tape == NONE
Dismiss dataset.usage_rank > 100 and dataset.name != /*/*/MINIAOD*
Dismiss dataset.last_update older_than 150 days ago \
and replica.last_block_created older_than 30 days ago and replica.num_access == 0 \
and dataset.name != /*/*/MINIAOD*
DismissBlock dataset.name == /*/*/RAW and blockreplica.last_update older_than 90 days ago
DismissBlock dataset.name == /*/*/RAW and dataset.name != /*S*/*/RAW \
and blockreplica.last_update older_than 60 days ago
DismissBlock dataset.name == /*/*/RECO and dataset.last_update older_than 90 days ago \
and blockreplica.owner == DataOps
Protect dataset.last_access newer_than 100 days ago
Protect dataset.last_update newer_than 1 month ago
Protect dataset.name == /*/*/RAW and dataset.last_update newer_than 90 days ago
Protect dataset.name == /*/*/RAW and replica.first_block_created newer_than January 1
Protect dataset.name == /*/*/RAW and site.name == T2_CH_CERN
Protect site.name == T2_US_Vanderbilt and dataset.name == /HI*/*/*
Protect dataset.name =~ /[A-Z]+/.* and dataset.last_update newer_than 12 months ago
Protect dataset.name =~ /[A-Z]+/.* and dataset.name !=~ /X.*
Protect dataset.on_protected_site and replica.num_full_disk_copy_common_owner < 2
Protect dataset.unhandled_copy_exists
Protect replica.enforcer_protected
ProtectBlock blockreplica.last_update newer_than 60 days ago
Order none
Order decreasing dataset.usage_rank increasing replica.size
Order increasing dataset.last_update
"""
HEAD = "Partition P\nOn always\nWhen always\nUntil never\nProtect\n"


@pytest.mark.parametrize("line", SHAPES.strip().replace("\\\n", "").splitlines())
def test_a_real_statement_can_be_read(line):
    reading = read_policy(HEAD + line)

    assert reading.errors == ()


def test_a_campaign_of_thousands_of_names_can_be_read():
    lines = "\n".join(
        f"Protect dataset.name == /Aa{number}/Run2016B-v1/RAW" for number in range(4000)
    )

    assert len(read_policy(HEAD + lines).policy.lines) == 4000


def test_a_partition_file_can_be_read_with_its_comments():
    text = """
    # A comment: with a colon
    AnalysisOps:  blockreplica.owner == AnalysisOps and site.storage_type == DISK
    IB RelVal:    blockreplica.owner == IB RelVal and site.storage_type == DISK
    Unsubscribed: blockreplica.owner == None and site.storage_type == DISK
    Express:      blockreplica.owner == express and dataset.name == /*/*Express*/*
    Tape:         site.storage_type == MSS
    Physics:      [AnalysisOps, IB RelVal, Tape]
    AllDisk:      blockreplica.owner != None and site.storage_type == DISK
    """

    names = [definition.name for definition in read_partition_file(text)]

    assert names == [
        "AnalysisOps",
        "IB RelVal",
        "Unsubscribed",
        "Express",
        "Tape",
        "Physics",
        "AllDisk",
    ]
