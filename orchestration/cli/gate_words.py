"""What to do about a check that did not hold, and its figures, in words. Must not be here: judging."""

from __future__ import annotations

from collections.abc import Mapping

_NEXT = {
    "expect_column_values_to_be_pseudonyms": "Deliver {dataset} again; if it stays, tell the operator.",
    "expect_column_to_hold_no_personal_data": (
        "Remove addresses, numbers and names of persons from this text, or leave it empty."
    ),
    "expect_groups_to_have_at_least": "Generalize these attributes more, or leave out the rare rows.",
    "expect_rows_to_be_fresh": "Export {dataset} anew, up to the day of the delivery.",
    "expect_row_count_to_change_by_at_most": "Check whether the export is complete, or holds rows twice.",
    "expect_distribution_to_be_stable": "Look at what changed in the source; if it is real, say so.",
    "expect_values_to_exist_in_dataset": "Compare the keys with the other party's newest delivery.",
    "expect_segments_to_keep_their_shares": "Check which segment the export left out or took in.",
    "expect_unit_overlap_to_be_between": "Check that both parties mean the same units; tell the reviewers.",
    "expect_keyspace_not_to_be_exhausted": "Deliver only units you know; tell the reviewers.",
    "expect_units_to_look_natural": "Look for rows that were copied or made up.",
    "expect_column_not_to_be_given": "Leave this field empty from now on.",
}
_ELSE = "Correct the rows in the source and deliver {dataset} again."


def next_step(expectation: str, dataset: str) -> str:
    """What the steward of `dataset` does when this expectation does not hold."""
    return _NEXT.get(expectation, _ELSE).format(dataset=dataset)


def in_words(figures: Mapping[str, object]) -> str:
    """`{"rows": 3, "share": 0.5}` → "rows 3, share 0.5"."""
    parts = []
    for name, value in figures.items():
        if value is not None:
            shown = f"{value:,}" if isinstance(value, int) else str(value)
            parts.append(f"{name.replace('_', ' ')} {shown}")
    return ", ".join(parts)
