"""The record of processing as Markdown, to be kept with other records. Must not be here: what it says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from orchestration.audit.catalog.processing import Activity, RecordOfProcessing


def as_markdown(record: RecordOfProcessing) -> str:
    """One section for each purpose, with a table of the data."""
    lines = [
        f"# Record of processing: {_plain(record.title)}",
        "",
        f"Made from version {record.charter_version} of the charter of {record.collaboration}, in force "
        f"{record.in_force[0]} to {record.in_force[1]}",
        f"(`{record.charter_digest}`). Follows GDPR article 30 (1).",
        "",
        f"The house is run by: {_plain(record.operator)}.",
    ]
    for activity in record.activities:
        lines += ["", *_activity(activity)]
    return "\n".join(lines) + "\n"


def _activity(activity: Activity) -> Iterator[str]:
    yield f"## {_plain(activity.title)} (`{activity.purpose}`)"
    yield ""
    yield _plain(activity.description)
    yield ""
    bases = (f"{dataset}: {basis.replace('_', ' ')}" for dataset, basis in activity.lawful_bases)
    for name, values in (
        ("Controllers", activity.controllers),
        ("Contacts (stewards)", activity.contacts),
        ("Categories of people", activity.people or ("none: nothing personal is read",)),
        ("Lawful basis", bases),
        ("Computations", activity.computations or ("none agreed on yet",)),
        ("Recipients", activity.recipients or ("nobody",)),
        ("Kept for", activity.retention),
        ("Transfers to other countries", (activity.transfers,)),
    ):
        yield f"- **{name}:** {'; '.join(map(_plain, values))}"
    yield "- **Safeguards:**"
    yield from (f"  - {_plain(each)}" for each in activity.safeguards)
    if activity.data:
        yield ""
        yield from _table(
            ("Dataset", "Controller", "Category", "Fields", "Of them used", "What is done to them"),
            (
                (
                    each.dataset,
                    each.controller,
                    f"{each.class_title}{' (art. 9)' if each.special_category else ''}",
                    ", ".join(each.fields),
                    ", ".join(each.used) or "none",
                    ", ".join(each.techniques),
                )
                for each in activity.data
            ),
        )


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield f"|{'---|' * len(heads)}"
    for row in rows:
        yield f"| {' | '.join(map(_plain, row))} |"


def _plain(text: str) -> str:
    """Text of a charter stays text: on one line, with nothing that Markdown or HTML would obey."""
    text = " ".join(text.split())
    for mark in ("\\", "|", "`", "*", "[", "]", "<", ">", "#"):
        text = text.replace(mark, f"\\{mark}")
    return text
