"""omniroute: the routing-and-queue core of an omnichannel contact centre."""

__version__ = "0.1.0"
