"""Importers: the configuration of another product in, a plan out.

Each is a plain function over mappings as they come out of a configuration reader or an API. What a plan cannot express
is refused with the name of the field, and so is a key that the importer does not know; keys that have no say in who is
asked (music, announcements, recordings) are read over.
"""

from omniroute.replay.importers.from_amazon_connect import amazon_connect
from omniroute.replay.importers.from_asterisk import asterisk
from omniroute.replay.importers.from_freeswitch import freeswitch
from omniroute.replay.importers.from_genesys import genesys

__all__ = ["amazon_connect", "asterisk", "freeswitch", "genesys"]
