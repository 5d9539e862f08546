"""Which contributions an answer rests on, read from the receipts and not from anybody's word.

Belongs here: walking back from a receipt to what was given. Must not be here: whether it may be used.
"""

from __future__ import annotations

from orchestration.audit import receipts
from orchestration.audit.receipts import Receipt
from orchestration.audit.stage_events import RoomRefreshed
from orchestration.computation.request import Request
from orchestration.computation.template import Template
from orchestration.errors import ReceiptError
from orchestration.house import House
from orchestration.participants import provenance
from orchestration.participants.provenance import NOT_IN_ROOM, Given
from orchestration.stages.recorder import Recording


def sources(house: House, room: Receipt, template: Template, request: Request) -> list[Given]:
    """The contributions that this room's answer to the request rests on.

    Raises: ReceiptError (`computation.not_in_room`, `receipt.missing`) when there is none of an entity, or
    one was destroyed since.
    """
    refreshed = house.log.event(room.seq).event.payload
    held = refreshed.tables if isinstance(refreshed, RoomRefreshed) else {}
    found = []
    for entity in template.entities(request.parameters):
        if not held.get(entity):
            raise ReceiptError(NOT_IN_ROOM, template=template.id, entity=entity)
        for contribution in held[entity]:
            receipts.require(house.log, "contribution", contribution)
            with house.state(room.subject) as state:
                found.append(provenance.given(state, contribution))
    return found


def room_behind(house: House, receipt: Receipt) -> Receipt:
    """The room that cells, or what was made of them, were computed in."""
    while receipt.stage != "room":
        receipt = receipts.load(house.log, receipt.inputs[0])
    return receipt


def concern(run: Recording, request: Request, given: list[Given]) -> None:
    """All of them must be active and undisputed, from now until the stage ends.

    Raises: PolicyDeniedError `participant.not_active`, `dispute.pending`, and like `require_standing`.
    """
    participants = [request.participant, *(each.participant for each in given)]
    subjects = [("request", request.id)]
    subjects += [("dataset", each.dataset) for each in given]
    subjects += [("participant", each) for each in participants]
    run.concern(participants, subjects)
