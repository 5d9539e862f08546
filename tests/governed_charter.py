"""The tiny charter with what members decide in it: approvals, disputes, a checklist, a review body."""

from __future__ import annotations

from tests.tiny_charter import CHARTER

_CHANGES = (
    (
        "      - {id: shop.operator, name: Operator, roles: [operator]}\n",
        "      - {id: shop.operator, name: Operator, roles: [operator]}\n"
        "      - {id: shop.reviewer, name: Reviewer, roles: [reviewer]}\n",
    ),
    (
        "      - {id: panel.auditor, name: Auditor, roles: [auditor]}\n",
        "      - {id: panel.auditor, name: Auditor, roles: [auditor]}\n"
        "      - {id: panel.reviewer, name: Reviewer, roles: [reviewer]}\n",
    ),
    ("requesters: [shop], receivers: [shop]}", "requesters: [shop], receivers: [shop], approval: questions}"),
    (
        "    unique_key: [unit]\n",
        "    unique_key: [unit]\n    onboarding:\n      - {id: consent, text: Every household agreed.}\n",
    ),
    (
        "access:\n",
        "  - {id: questions, decision: A question about people., matters: [request],"
        " deciders: [shop, panel], rule: affected}\n"
        "  - {id: disputes, decision: A dispute., matters: [dispute], body: review_body}\n"
        "  - {id: rest, decision: Who stays and when it ends., matters: [membership, closing, thaw],"
        " deciders: [shop, panel], quorum: 1}\n"
        "review_body: {members: [shop.reviewer, panel.reviewer], quorum: 2}\n"
        "access:\n",
    ),
)


def governed(text: str = CHARTER) -> str:
    for old, new in _CHANGES:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text
