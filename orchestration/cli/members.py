"""`glasshouse member`: who acts for an organization, in which roles, until when.

Must not be here: keys (`cli/keys`), single roles (`cli/grants`, `cli/emergency`), or who may enrol whom
(`participants/`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, get_args

import typer
from pydantic import JsonValue
from rich.text import Text

from orchestration.audit import governance_tables as g
from orchestration.audit.vocabulary import now
from orchestration.charter.model import Role
from orchestration.cli.console import JsonFlag, emit, table
from orchestration.cli.options import CollaborationOption, LongestOption, current_state, end_of
from orchestration.cli.signing_options import Signing, signed
from orchestration.errors import ConfigError, Reason
from orchestration.house import House
from orchestration.participants import enrollment

NO_SUCH_ROLE = Reason(
    "member.no_such_role",
    "There is no role {role}.",
    "Use one of: {known}.",
)

OTHER_MEMBER = Reason(
    "member.other_public_file",
    "That public file is not of {member} but of {other}.",
    "Use the file that {member} made with `glasshouse key new {member}`.",
)

MemberArgument = Annotated[str, typer.Argument(help="<participant>.<name>")]
RoleArgument = Annotated[str, typer.Argument(help=f"One of {', '.join(get_args(Role))}.")]

app = typer.Typer(help="People and services that act for an organization.", no_args_is_help=True)


@app.command()
@signed("Acts for our organization.")
def enroll(
    signing: Signing,
    member: MemberArgument,
    *,
    public_key: Annotated[Path, typer.Option(help="The file <member>.json that `key new` wrote.")],
    until: LongestOption = None,
    role: Annotated[list[str] | None, typer.Option(help="Default: every role the charter gives.")] = None,
) -> None:
    """Vouch for a member of your own organization: its key, and its roles until a day."""
    with signing.opened() as signatory:
        roles = tuple(known_role(each) for each in role or [])
        if not roles:
            roles = signatory.agreement("the member's roles", "--role").member(member).roles
        if until is None:
            longest = signatory.agreement("how long a role may last", "--until").access.grant_days
            expires = now() + timedelta(days=longest)
        else:
            expires = end_of(until)
        file = enrollment.read_public_file(public_key)
        if file.member != member:
            raise ConfigError(OTHER_MEMBER, member=member, other=ascii(file.member[:80]))
        event = enrollment.enroll_member(
            signatory.collaboration, signing.member, file, roles, expires, signing.why
        )
        signatory.records(event, note=lambda house, chosen: _next_terms(house, chosen, member))


@app.command()
@signed("No longer acts for our organization.")
def retire(signing: Signing, member: MemberArgument) -> None:
    """Take a member of your own organization off: key and roles end at once."""
    with signing.opened() as signatory:
        signatory.records(
            enrollment.retire_member(signatory.collaboration, signing.member, member, signing.why)
        )


@app.command("list")
def list_(*, collaboration: CollaborationOption = None, as_json: JsonFlag = False) -> None:
    """Every member, the roles in force, and until when."""
    with current_state(collaboration) as state:
        found: list[dict[str, JsonValue]] = []
        for row in state.rows(g.members):
            ends = [
                grant.expires_at
                for grant in state.grants(row.member)
                if grant.in_force(state.at) and not grant.emergency
            ]
            lasting = state.roles(row.member, emergency=False)
            found.append(
                {
                    "member": row.member,
                    "status": row.status,
                    "roles": [*sorted(lasting)],
                    "lent": [*sorted(state.roles(row.member) - lasting)],
                    "until": f"{min(ends):%Y-%m-%d}" if ends else None,
                }
            )
    rows = [[str(m["member"]), str(m["status"]), _roles(m), str(m["until"] or "-")] for m in found]
    columns = ["Member", "State", "Roles in force", "Until"]
    emit(
        list(found),
        lambda: table(columns, rows) if rows else Text("Nobody is enrolled yet."),
        as_json=as_json,
    )


def known_role(role: str) -> str:
    """Raises: ConfigError (`member.no_such_role`)."""
    known = get_args(Role)
    if role not in known:
        raise ConfigError(NO_SUCH_ROLE, role=ascii(role[:40]), known=", ".join(known))
    return role


def _next_terms(house: House, collaboration: str, member: str) -> str:
    """What a new member still has to do itself."""
    with house.state(collaboration) as state:
        terms = state.agreement.terms_digest if state.agreement else None
        if terms is None or state.acknowledged(member, terms):
            return ""
    return f"Next: glasshouse terms acknowledge --as {member}"


def _roles(found: Mapping[str, JsonValue]) -> str:
    names = [*_names(found["roles"]), *(f"{role} (lent)" for role in _names(found["lent"]))]
    return ", ".join(names) or "-"


def _names(names: JsonValue) -> list[str]:
    return [str(name) for name in names] if isinstance(names, list) else []
