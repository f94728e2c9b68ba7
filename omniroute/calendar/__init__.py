"""Shifts, breaks, meetings, queue hours and holidays: rules on the wall clock, and what they are in milliseconds."""

from omniroute.calendar.adherence import Adherence, adherence
from omniroute.calendar.calendars import Calendar
from omniroute.calendar.expand import Entry
from omniroute.calendar.feed import commands_at, commands_between, presences_between
from omniroute.calendar.icalendar_file import events_of_file, events_of_text
from omniroute.calendar.overruns import Overruns, overruns
from omniroute.calendar.rules import Absence, Break, Closure, Holidays, Hours, Shift
from omniroute.calendar.timetable import Span, Timetable, takers

__all__ = [
    "Absence",
    "Adherence",
    "Break",
    "Calendar",
    "Closure",
    "Entry",
    "Holidays",
    "Hours",
    "Overruns",
    "Shift",
    "Span",
    "Timetable",
    "adherence",
    "commands_at",
    "commands_between",
    "events_of_file",
    "events_of_text",
    "overruns",
    "presences_between",
    "takers",
]
