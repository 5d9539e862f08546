"""How reports look on a terminal of 80 columns. Must not be here: what they say."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from orchestration.cli.console import harmless, table
from orchestration.cli.told import day


def contributor(report: dict[str, Any]) -> RenderableType:
    name = report["participant"]
    contributed = [
        [
            short_name(each["contribution"]),
            each["dataset"] or "",
            day(each["at"]),
            number(each["rows"]),
            "destroyed" if each["destroyed_at"] else each["gate"] or each["status"],
        ]
        for each in report["contributed"]
    ]
    analysed = [
        [
            each["request"],
            each["template"],
            each["purpose"],
            each["requester"],
            "recalled" if each["recalled"] else each["status"],
        ]
        for each in report["analysed"]
    ]
    accessed = [
        [
            each["release"],
            each["member"],
            each["at"][:16].replace("T", " "),
            each["detail"] or f"refused: {each['code']}",
        ]
        for each in report["accessed"]
    ]
    limits = report["within_limits"]
    return Group(
        heading(f"Report to {name} ({report['collaboration']}, {day(report['as_of'])})"),
        *section(
            f"1  What {name} contributed",
            ["Contribution", "Dataset", "Day", ("Rows", "right"), "State"],
            contributed,
            "Nothing.",
        ),
        *section(
            "2  What was asked of its data",
            ["Request", "Computation", "Purpose", "By", "State"],
            analysed,
            "Nothing.",
        ),
        *section("3  Who opened the results", ["Release", "Member", "UTC", "Saw"], accessed, "Nobody."),
        Text("4  Did the results stay within approved limits?", style="bold"),
        *verdict(limits),
        Text(f"From {report['log']['size']} events of the log.", style="dim"),
    )


def verdict(limits: dict[str, Any]) -> list[Text]:
    if not limits["checks"]:
        return [Text("No results yet.\n")]
    lines = [
        Text(
            f"✓ {each['request']}: threshold {number(each['threshold'])} (agreed:"
            f" {number(each['threshold_agreed'])}), for {each['purpose']},"
            f" to {', '.join(each['receivers']) or 'nobody'}"
        )
        if each["ok"]
        else Text(
            "\n".join([f"✗ {each['request']}:", *(f"    {d}" for d in each["differences"])]), style="red"
        )
        for each in limits["checks"]
    ]
    return [*lines, Text("")]


def summary(report: dict[str, Any]) -> RenderableType:
    counts, log = report["counts"], report["log"]
    lines = [
        heading(f"{report['title'] or report['collaboration']} ({day(report['as_of'])})"),
        Text(f"{report['collaboration']} is {report['phase']}; charter version {number(report['version'])}."),
        *(Text(f"  Objective: {harmless(each)}") for each in report["objectives"]),
        *(Text(f"  Intended outcome: {harmless(each)}") for each in report["intended_outcomes"]),
        Text(""),
        *section(
            "Parties",
            ["Organization", "Status"],
            [[each["participant"], each["status"]] for each in report["parties"]],
            "None.",
        ),
        *section(
            "Use",
            ["", ("", "right")],
            [
                [
                    "Contributions, of them destroyed; refused",
                    f"{counts['contributions']}, {counts['contributions_destroyed']};"
                    f" {counts['contributions_refused']}",
                ],
                [
                    "Requests, of them denied, withheld",
                    f"{counts['requests']}, {counts['requests_denied']}, {counts['requests_withheld']}",
                ],
                ["Releases, of them recalled", pair(counts, "releases", "releases_recalled")],
                ["Openings granted, refused", pair(counts, "openings", "openings_refused")],
            ],
            "",
        ),
        *open_questions(report["open_decisions"]),
        *section(
            "Disputes",
            ["Dispute", "About", "State"],
            [[each["dispute"], each["about"], each["status"]] for each in report["disputes"]],
            "None.",
        ),
        *section(
            "Exceptions",
            ["Exception", "What", "Owner", "Until", "State"],
            [
                [each["exception"], each["what"], each["owner"], day(each["expires_at"]), each["status"]]
                for each in report["exceptions"]
            ],
            "None.",
        ),
    ]
    sealed = f"{log['under_checkpoint']} of {log['size']} events are under a signed checkpoint"
    if log["sound"]:
        lines.append(Text(f"✓ The log is sound; {sealed}."))
    else:
        lines.append(
            Text(f"✗ The log has {log['problems']} problems: `glasshouse audit verify`.", style="red")
        )
    return Group(*lines)


def decisions(found: Sequence[Any]) -> RenderableType:
    if not found:
        return Text("Nothing was put to a decision yet.")
    lines: list[RenderableType] = []
    for each in found:
        lines.append(Text(f"{each['decision']}  {harmless(each['question'])}", style="bold"))
        asked = f"  Asked by {each['asked_by']} on {day(each['opened_at'])}: {harmless(each['reason'])}"
        lines += [Text(asked), Text(f"  Rule: {each['rule']}")]
        for vote in each["votes"]:
            changed = "" if vote["stands"] else " (changed later)"
            reason = f": {harmless(vote['reason'])}" if vote["reason"] else ""
            lines.append(Text(f"  {vote['member']} {vote['vote']}s{changed}{reason}"))
        lines += [Text(f"  Escalated to {member}") for member in each["escalated_to"]]
        at = f" on {day(each['concluded']['at'])}" if each["concluded"] else ""
        lines += [Text(f"  Outcome: {each['outcome']}{at}"), Text("")]
    return Group(*lines)


def shares(report: dict[str, Any]) -> RenderableType:
    rows = [
        [
            each["participant"],
            number(each["contributions"]),
            number(each["rows"]),
            number(len(each["releases"])),
            each["value"],
            f"{100 * each['part']:.1f} %",
        ]
        for each in report["shares"]
    ]
    columns: list[str | tuple[str, str]] = [
        "Organization",
        *((name, "right") for name in ("Gave", "Rows", "Used in", "Value", "Share")),
    ]
    notes = [Text(report["method"], style="dim")]
    if report["unassigned_releases"]:
        notes.append(Text(f"Assigned to nobody: {', '.join(report['unassigned_releases'])}"))
    return Group(heading(f"Shares in {report['total']} releases"), table(columns, rows), *notes)


def council(report: dict[str, Any]) -> RenderableType:
    return Group(
        heading(f"Agenda of {report['collaboration']} ({day(report['as_of'])}), which is {report['phase']}"),
        *open_questions(report["decisions"]),
        *section(
            "Open requests",
            ["Request", "Computation", "Purpose", "By", "State"],
            [
                [each["request"], each["template"], each["purpose"], each["requester"], each["status"]]
                for each in report["requests"]
            ],
            "None.",
        ),
        *section(
            "Disputes",
            ["Dispute", "About", "By", "Asks for"],
            [
                [each["dispute"], each["about"], each["raised_by"], each["remedy"]]
                for each in report["disputes"]
            ],
            "None.",
        ),
        *section(
            "Exceptions that end soon",
            ["Exception", "What", "Owner", "Until"],
            [
                [each["exception"], each["what"], each["owner"], day(each["expires_at"])]
                for each in report["exceptions"]
            ],
            "None.",
        ),
        *section(
            "Panels whose term ends",
            ["Panel", "Until", "Members"],
            [[each["panel"], each["term_until"], ", ".join(each["members"])] for each in report["panels"]],
            "None.",
        ),
        *section(
            "Reviews due",
            ["Review", "Kind", "Until", ("Unattested", "right")],
            [
                [each["review"] or "next", each["kind"], day(each["due"]), number(len(each["unattested"]))]
                for each in report["reviews"]
            ],
            "None.",
        ),
        *section(
            "Insights nobody may rely on",
            ["Release", "Is", "Receivers", "Because"],
            [
                [each["release"], each["became"], "\n".join(each["receivers"]), each["why"]]
                for each in report["outdated"]
            ],
            "None.",
        ),
    )


def open_questions(found: Sequence[Any]) -> list[RenderableType]:
    return section(
        "Waiting for a decision",
        ["Decision", "Question", "Missing", "Until"],
        [
            [
                each["decision"],
                each["question"],
                ", ".join(each["missing"]) or "nobody",
                day(each["expires_at"]) if each["expires_at"] else "",
            ]
            for each in found
        ],
        "Nothing.",
    )


def case(document: dict[str, Any], file: str | None) -> RenderableType:
    claim, named = document["claim"], document["differences"]
    lines: list[RenderableType] = [
        heading(f"Dispute {document['dispute']} about {claim['about']['kind']} {claim['about']['id']}"),
        Text(f"Raised by {claim['by']} on {day(claim['at'])}: {harmless(claim['reason'])}"),
        Text(f"Asked for: {claim['remedy_asked_for']}"),
        Text(""),
    ]
    for each in document["requests"]:
        asked, approved, ran = each["request"], each["approved"] or {}, each["ran"]
        rows = [
            [
                "computation",
                str(approved.get("computation")),
                listed(x["template"] for x in ran["templates"]),
            ],
            ["purpose", listed(approved.get("purposes", [])), asked["purpose"]],
            ["asked by", listed(approved.get("requesters", [])), asked["requester"]],
            [
                "threshold",
                f"at least {number(approved.get('threshold'))}",
                listed(str(x["threshold"]) for x in ran["thresholds"]),
            ],
            [
                "receivers",
                listed(approved.get("receivers", [])),
                listed(dict.fromkeys(r for x in ran["releases"] for r in x["receivers"])),
            ],
            [
                "approval",
                approved.get("approval") or "none needed",
                each["decision"]["outcome"] if each["decision"] else "none",
            ],
        ]
        lines.append(table((str(asked["id"]), "Approved", "Ran"), rows))
        lines.append(Text(""))
    lines.append(Text("Differences", style="bold"))
    lines += [Text(f"✗ {each}", style="red") for each in named] or [Text("None was found.")]
    proven = f"{len(document['events'])} events, each proven in the tree of {document['tree']['size']}."
    lines.append(Text(proven, style="dim"))
    if file:
        lines.append(Text(f"Written to {file}; check it with glasshouse report check {file}", style="dim"))
    return Group(*lines)


def case_checked(told: Any) -> RenderableType:
    return Group(
        Text(f"✓ Every event of the pack is in the tree of {told['size']} events"),
        Text(f"  tree head {told['root']}"),
        Text(f"  digest {told['digest']}"),
        Text("Compare the digest with `dispute.documented` in the log.", style="dim"),
    )


def report_checked(report: dict[str, Any]) -> RenderableType:
    view = {"contributor": contributor, "summary": summary}.get(str(report["report"]))
    signed = Text("✓ Signed by the operator, unchanged.")
    return Group(signed, Text(""), view(report)) if view else signed


def section(
    title: str, columns: Sequence[str | tuple[str, str]], rows: Sequence[Sequence[str]], none: str
) -> list[RenderableType]:
    body: RenderableType = table(columns, rows) if rows else Text(none)
    return [Text(title, style="bold"), body, Text("")]


def heading(text: str) -> Text:
    return Text(harmless(text) + "\n", style="bold")


def pair(counts: dict[str, Any], first: str, second: str) -> str:
    return f"{counts[first]}, {counts[second]}"


def number(value: Any) -> str:
    return "–" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "nothing"


def short_name(contribution: str) -> str:
    """Contribution ids are long; their beginning is enough to find them again."""
    return contribution if len(contribution) <= 20 else f"{contribution[:19]}…"
