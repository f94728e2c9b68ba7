"""The calendar that tests of calendars share: every table and most keys, as it is written."""

from __future__ import annotations

CALENDAR = """\
[[shifts]]
agents = ["ana", "ben"]
zone = "Europe/Berlin"
from = "22:00"
to = "06:00"
days = ["mon", "fri"]
start = 2026-01-01
until = 2026-12-31
except = [2026-12-24, 2026-12-31]
holidays = ["bavaria"]
drain = "5m"

[[breaks]]
agents = ["ana"]
kind = "meeting"
zone = "Europe/Berlin"
from = "23:15"
to = "23:30"
rrule = "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO"
start = 2026-01-05

[[absences]]
agents = ["ben"]
zone = "UTC"
start = 2026-07-01
until = 2026-07-14

[[hours]]
queues = ["sales"]
zone = "America/New_York"
from = "08:30"
to = "17:00"
last_call = "15m"
waiting = "move"
move_to = "night"

[[closures]]
queues = ["sales"]
zone = "America/New_York"
start = 2026-03-03
until = 2026-03-03

[[holidays]]
name = "bavaria"
country = "DE"
subdivision = "BY"
dates = [2026-12-24]
except = [2026-01-06]
"""
