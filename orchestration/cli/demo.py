"""`glasshouse demo`: a whole collaboration on real data, from an agreement to three insights.

Repeating it keeps what is done and shows it again. Must not be here: the steps (`demo_steps`), or the report
(`demo_report`).
"""

from __future__ import annotations

from pydantic import JsonValue

from orchestration.cli.console import JsonFlag, emit, err
from orchestration.settings import load_settings


def demo(*, as_json: JsonFlag = False) -> None:
    """Run a whole collaboration on real data and show what came out, what was hidden, and the proof."""
    from orchestration.audit.verify import verify_log
    from orchestration.cli.demo_report import report
    from orchestration.cli.demo_steps import COLLABORATION, require_data, run_demo
    from orchestration.cli.house import prepare

    require_data()
    err.print("[dim]Four organizations join, enrol their members and sign the charter …[/]")
    house = prepare(load_settings(), trial=True)
    shown = run_demo(house)
    verified = verify_log(house.log, house.checkpoints, house.operator.public)
    document: JsonValue = {
        "insights": [{"release": i.release.id, "headline": i.finding.headline} for i in shown.insights],
        "denied": shown.denied,
        "self_approval": shown.self_approval,
        "witnesses": list(shown.witnesses),
        "log": {"events": house.log.size, "sound": verified.ok},
    }
    charter = house.charter(COLLABORATION)
    emit(document, lambda: report(house, charter, shown, verified), as_json=as_json)
    house.log.close()
    verified.require()
