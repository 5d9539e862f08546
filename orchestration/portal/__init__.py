"""The web application: what the house did, for people who may not or need not use a terminal.

Belongs here: pages over the log and its projections, read-only and for this machine alone. Must not be here:
any rule, any step, anything that writes, and anything that reads the vault, the room or the shelf.
"""

from orchestration.portal.app import create_app

__all__ = ["create_app"]
