"""Times are read as GNU date read them, in UTC, by a small grammar of ours."""

from datetime import UTC, date, datetime

import pytest

from dynamo.policy.time_parser import read_time
from dynamo.policy.times import TimeError, days_since_1970

NOW = datetime(2026, 11, 22, 15, 30, 20, tzinfo=UTC).timestamp()  # a Sunday


def written(text):
    return datetime.fromtimestamp(read_time(text).at(NOW), UTC).strftime("%Y-%m-%d %H:%M:%S")


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("90 days ago", "2026-08-24 15:30:20"),
        ("3 months ago", "2026-08-22 15:30:20"),
        ("1 week ago", "2026-11-15 15:30:20"),
        ("now", "2026-11-22 15:30:20"),
        ("yesterday", "2026-11-21 15:30:20"),
        ("tomorrow 10:00", "2026-11-23 10:00:00"),
        ("January 1", "2026-01-01 00:00:00"),
        ("Jan 1 2018", "2018-01-01 00:00:00"),
        ("January 1, 2018", "2018-01-01 00:00:00"),
        ("1 Jan 2018", "2018-01-01 00:00:00"),
        ("31-Dec-2018", "2018-12-31 00:00:00"),
        ("12/31/2018", "2018-12-31 00:00:00"),
        ("2018/12/31", "2018-12-31 00:00:00"),
        ("12/31", "2026-12-31 00:00:00"),
        ("2026-11-22", "2026-11-22 00:00:00"),
        ("2026-11-22 10:00", "2026-11-22 10:00:00"),
        ("2026-11-22T10:00:05Z", "2026-11-22 10:00:05"),
        ("2026-11-22 10:00 +02:00", "2026-11-22 08:00:00"),
        ("2026-11-22 10:00:00-0530", "2026-11-22 15:30:00"),
        ("20190101", "2019-01-01 00:00:00"),
        ("@1500000000", "2017-07-14 02:40:00"),
        ("last monday", "2026-11-16 00:00:00"),
        ("monday", "2026-11-23 00:00:00"),
        ("sunday", "2026-11-22 00:00:00"),
        ("next friday", "2026-11-27 00:00:00"),
        ("last year", "2025-11-22 15:30:20"),
        ("next month", "2026-12-22 15:30:20"),
        ("2 weeks", "2026-12-06 15:30:20"),
        ("-3 days", "2026-11-19 15:30:20"),
        ("1 day ago 2 hours ago", "2026-11-21 13:30:20"),
        ("2026-03-31 1 month ago", "2026-03-03 00:00:00"),
        ("3 pm yesterday", "2026-11-21 15:00:00"),
        ("12 am", "2026-11-22 00:00:00"),
        ("Sat Jun 1 10:00:00 UTC 2019", "2019-06-01 10:00:00"),
        ("1 fortnight ago", "2026-11-08 15:30:20"),
        ("18-01-02", "2018-01-02 00:00:00"),
        ("2019-01-01 10:00:00,5", "2019-01-01 10:00:00"),
        # GNU date takes a signed number behind a time of day for a zone: then one day
        ("2019-01-01 10:00 +3 days", "2019-01-02 07:00:00"),
        ("2019-06-01 00:00 -5 days", "2019-06-02 05:00:00"),
    ],
)
def test_a_time_means(text, moment):
    assert written(text) == moment


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("15jun2019", "2019-06-15 00:00:00"),
        ("15-jun-2019", "2019-06-15 00:00:00"),
        ("jun-15-2019", "2019-06-15 00:00:00"),
        ("15 jun 19", "2019-06-15 00:00:00"),
        ("june15", "2026-06-15 00:00:00"),
        ("june 15", "2026-06-15 00:00:00"),
        ("june 15, 2019 10:00", "2019-06-15 10:00:00"),
        ("june 15 10:00 2019", "2019-06-15 10:00:00"),
        ("20190101 1000", "2019-01-01 10:00:00"),
        ("20190101 100", "2019-01-01 01:00:00"),
        ("20190101 +3 days", "2019-01-04 00:00:00"),
        ("190101 10:00", "2019-01-01 10:00:00"),
        ("2019-06-15 10", "2019-06-15 10:00:00"),
        ("2019-06-15 10 +2", "2019-06-15 08:00:00"),
        ("2019-06-15 10:00+0530", "2019-06-15 04:30:00"),
        ("monday 10", "2026-11-23 10:00:00"),
        ("10 a.m. tomorrow", "2026-11-23 10:00:00"),
        ("sept 5", "2026-09-05 00:00:00"),
        ("1.5 seconds ago", "2026-11-22 15:30:18"),
        ("3 monday 1 month", "2027-01-07 00:00:00"),
        ("EST", "2026-11-22 05:00:00"),
        ("2019-06-15 UTC", "2019-06-15 00:00:00"),
        ("2019-06-15 10 GMT", "2019-06-15 10:00:00"),
        ("2019-06-15 10:00 EST", "2019-06-15 15:00:00"),
        ("2019-06-15 10:00 EDT", "2019-06-15 14:00:00"),
        ("2019-06-15 1000 CST", "2019-06-15 16:00:00"),
        ("2019-06-15 10:00 CDT", "2019-06-15 15:00:00"),
        ("2019-06-15 10:00 MST", "2019-06-15 17:00:00"),
        ("2019-06-15 10:00 MDT", "2019-06-15 16:00:00"),
        ("2019-06-15 10:00 PST", "2019-06-15 18:00:00"),
        ("2019-06-15 10:00 PDT", "2019-06-15 17:00:00"),
        ("2019-06-15 10:00 WET", "2019-06-15 10:00:00"),
        ("2019-06-15 10:00 WEST", "2019-06-15 09:00:00"),
        ("2019-06-15 10:00 BST", "2019-06-15 09:00:00"),
        ("2019-06-15 10:00 CET", "2019-06-15 09:00:00"),
        ("2019-06-15 10:00 CEST", "2019-06-15 08:00:00"),
        ("2019-06-15 10:00 EET", "2019-06-15 08:00:00"),
        ("2019-06-15 10:00 EEST", "2019-06-15 07:00:00"),
        ("2019-06-15 10:00 MSK", "2019-06-15 07:00:00"),
        ("2019-06-15 10:00 IST", "2019-06-15 04:30:00"),
        ("2019-06-15 10:00 JST", "2019-06-15 01:00:00"),
        ("2019-06-15 10:00 NDT", "2019-06-15 12:30:00"),
        ("2019-06-15 10:00 UTC+3", "2019-06-15 07:00:00"),
        ("2019-06-15 10:00 UTC +3 days", "2019-06-18 10:00:00"),
        ("2019-06-15T10+02", "2019-06-15 08:00:00"),
    ],
)
def test_a_time_means_what_gnu_date_answers(text, moment):
    assert written(text) == moment


@pytest.mark.parametrize(
    "text",
    [
        *("june 2019", "15 jun 10:00", "june 15, 10:00", "june 15,2019", "satur", "sept. 5"),
        *("10 am.", "1.5 hours ago", "2019-06-15 25", "2019-06-15T10:00 pm", "EST EST"),
        *("10:00+02 UTC", "2019-06-15 10:00 HKT", "2019-06-15+3", "9999999999 days ago"),
        *("99999999999 hours 99999999999999 hours", "10:00 ago", "99999999999 jun 1"),
        *(
            "99999999999-01-01",
            "10:00 MS\N{KELVIN SIGN}",
            "2019-06-15 10:00 +25",
            "jun +15 -2019",
            "20191301 1",
        ),
    ],
)
def test_what_gnu_date_refuses_is_refused(text):
    with pytest.raises(TimeError):
        read_time(text)


@pytest.mark.parametrize(
    "text",
    [
        *("2019-06-15 10:00 SST", "10:00 a", "20190615T1000", "- monday", "3 days -ago"),
        *("15 jun +19", "999999999 monday", "10:00 EST DST", "10:00 e.s.t."),
    ],
)
def test_what_would_be_read_otherwise_is_refused(text):
    with pytest.raises(TimeError):
        read_time(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0", "a bare number is no time"),
        ("1500000000", "a bare number is no time"),
        ("2018", "a bare number is no time"),
        ("", "a time is missing"),
        ("ago", "'ago' is no time"),
        ("a week ago", "'a week ago' is no time"),
        ("90 d ago", "is no time"),
        ("noon", "is no time"),
        ("1 quarter ago", "is no time"),
        ("2019-02-29", "there is no such day"),
        ("2019-13-01", "there is no such day"),
        ("25:00", "there is no hour 25"),
        ("13 pm", "there is no hour 13 pm"),
        ("10:61", "is no time of day"),
        ("2019-01-01 2019-01-02", "the date is given twice"),
        ("10:00 11:00", "the time of day is given twice"),
        ("monday tuesday", "the weekday is given twice"),
        ("10:00Z utc", "the time zone is given twice"),
        ("10:00 2018", "the time of day is given twice"),
    ],
)
def test_what_is_no_time_is_refused(text, message):
    with pytest.raises(TimeError, match=message):
        read_time(text)


def test_a_day_that_some_years_lack_is_found_when_the_year_is_known():
    day = read_time("February 29")

    assert (
        day.at(datetime(2024, 5, 1, tzinfo=UTC).timestamp())
        == datetime(2024, 2, 29, tzinfo=UTC).timestamp()
    )
    with pytest.raises(TimeError):
        day.at(NOW)


def test_days_are_counted_like_the_calendar_does():
    for day in (date(1970, 1, 1), date(2000, 2, 29), date(1900, 3, 1), date(2026, 12, 31)):
        assert days_since_1970(day.year, day.month, day.day) == (day - date(1970, 1, 1)).days
