"""Mutations of what the manifest says, of its signature, and of the bytes of `manifest.json`.

One idea each. Claims are changed before they are signed, the envelope afterwards: both must be looked at.
Must not be here: the data file (`fuzz_bytes`), or the folder (`fuzz_folder`).
"""

from __future__ import annotations

import base64
import json
from typing import Any

from orchestration.signing import SigningKey
from tests.promises.contribution_fuzzer import STEM, Draft, mutation
from tests.promises.fuzz_bytes import damaged

TRAVERSALS = (
    "../../../../etc/passwd",
    "/etc/passwd",
    "..",
    ".",
    "a/../../b",
    "..\\..\\b",
    "people.csv\0.txt",
    "~/x",
)


def _claim(made: Draft, name: str, *values: Any) -> None:
    made.claims[name] = made.rng.choice(values)
    made.known = False


@mutation("claims")
def another_digest(made: Draft) -> None:
    _claim(
        made, "sha256", "sha256:" + "0" * 64, "sha256:" + "A" * 64, "md5:x", "", f"sha256:{made.canary}", None
    )


@mutation("claims")
def another_row_count(made: Draft) -> None:
    rows = made.claims["rows"]
    _claim(
        made,
        "rows",
        rows + 1,
        rows - 1,
        -1,
        0,
        10**18,
        10**300,
        10**4299,
        1e308,
        "7",
        True,
        None,
        rows + 0.5,
        [rows],
    )


@mutation("claims")
def another_period(made: Draft) -> None:
    first, last = made.rng.choice((
        ("2024-12-31", "2024-01-01"), ("1999-01-01", "2024-01-01"), ("2024-01-01", "9999-12-31"),
        ("0001-01-01", "0001-01-01"), ("2024-02-30", "2024-03-01"), (0, 10**12), (f"{made.canary}", None),
    ))  # fmt: skip
    made.claims["period"], made.known = {"first": first, "last": last}, False


@mutation("claims")
def other_purposes(made: Draft) -> None:
    _claim(
        made, "purposes", [], ["resale"], ["insight"] * 500, [made.canary], ["insight", ""], "insight",
        ["planning", "\ud800"], ["insight\n"], [["insight"]], None, ["planning"],
    )  # fmt: skip


@mutation("claims")
def another_collaboration(made: Draft) -> None:
    _claim(made, "collaboration", "other", "tiny ", "TINY", made.canary, *TRAVERSALS)


@mutation("claims")
def another_participant(made: Draft) -> None:
    _claim(made, "participant", "shop", "panel", "nobody", made.canary, *TRAVERSALS)


@mutation("claims")
def another_dataset(made: Draft) -> None:
    _claim(
        made, "dataset", "products", "sales", "people", "people/../sales", made.canary, "", None, *TRAVERSALS
    )


@mutation("claims")
def another_signer(made: Draft) -> None:
    _claim(
        made,
        "signer",
        "shop.analyst",
        "panel.auditor",
        "shop.steward",
        "panel.steward",
        "operator",
        "__class__",
        f"{made.canary}.steward",
    )


@mutation("claims")
def created_at_another_time(made: Draft) -> None:
    _claim(
        made, "created", "1970-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2024-06-01T00:00:00",
        "2024-06-01", 0,
        1e18, -1e18, "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", made.canary,
    )  # fmt: skip


@mutation("claims")
def file_elsewhere(made: Draft) -> None:
    _claim(
        made, "file", *TRAVERSALS, "manifest.json", "people.csv/", "", "nul", "CON", "a" * 300, "none.csv",
        str(made.rules.outside / "secret.csv"), "../outside/secret.csv", "people*", "[p]eople.csv",
        "s3://x/y",
    )  # fmt: skip


@mutation("claims")
def another_format(made: Draft) -> None:
    _claim(made, "format", "csv", "tsv", "ndjson", "parquet", "xlsx", "CSV", "pickle", None, made.canary)


@mutation("claims")
def strange_provenance(made: Draft) -> None:
    _claim(
        made, "provenance", "", "x" * 3_000, "\x1b[2J", "\u202e", "a\ud800b", 7, "\0", "{{ 7*7 }}", "%s" * 50
    )


@mutation("claims")
def corrects_what_is_not_there(made: Draft) -> None:
    _claim(made, "supersedes", "people-000000000000", "refused-000000000000", *TRAVERSALS, made.canary, "", 7)


@mutation("claims")
def unknown_fields(made: Draft) -> None:
    made.claims[made.rng.choice((made.canary, "__proto__", "", "model_config", "sha-256"))] = made.canary
    made.known = False


@mutation("claims")
def a_field_missing(made: Draft) -> None:
    del made.claims[made.rng.choice(sorted(made.claims))]
    made.known = False


@mutation("claims")
def a_field_of_another_type(made: Draft) -> None:
    name = made.rng.choice(sorted(made.claims))
    _claim(
        made, name, None, 7, [], {}, [made.canary], {"a": made.canary}, float("nan"), float("inf"), True, ""
    )


@mutation("claims")
def prepared_by_claim_alone(made: Draft) -> None:
    """A raw file called a package, or a package called raw."""
    if made.format == "package":
        del made.claims["prepared"]
    else:
        made.claims["prepared"] = made.rules.prepared | {"content": "sha256:" + "1" * 64}
    made.known = False


@mutation("claims", "package")
def prepared_otherwise(made: Draft) -> None:
    name = made.rng.choice(("charter", "key_id", "content", "transfer", "quality", "provenance"))
    made.claims["prepared"] = made.claims["prepared"] | {
        name: made.rng.choice(
            ("sha256:" + "2" * 64, made.canary, None, {}, 7, {"rows": 10**300, "checks": 1})
        )
    }
    made.known = False


@mutation("claims")
def payload_not_json(made: Draft) -> None:
    honest = json.dumps(made.claims)
    made.payload = made.rng.choice((
        b"", b"null", b"[]", b"7", b"{", b"\xff\xfe", b"[" * 20_000, b'{"a":' * 9_000,
        honest.encode("utf-16"),
        honest.replace("{", '{"rows": 1e999, ', 1).encode(), (honest + "x").encode(),
        b'"' + STEM.encode() + b'"',
        honest.replace("{", '{"file": "../../etc/passwd", ', 1).encode(), b"\xef\xbb\xbf" + honest.encode(),
        honest.replace('"rows": ', '"rows": 1' + "0" * 5_000 + ', "x": ', 1).encode(),
    ))  # fmt: skip
    made.known = False


# --- who signed


@mutation("claims")
def signed_by_another_key(made: Draft) -> None:
    other = made.rng.choice(("stranger", "stale", "executive"))
    made.signer = {
        "stranger": SigningKey.from_seed(b"s" * 32),
        "stale": made.rules.stale[made.steward],
        "executive": made.rules.keys["panel.executive"],
    }[other]
    made.known = False


@mutation("envelope")
def no_signature(made: Draft) -> None:
    made.envelope["signatures"] = made.rng.choice(([], None, "x", {}, [{}], [None], [{"sig": ""}], 7))
    made.known = False


@mutation("envelope")
def signature_doubled(made: Draft) -> None:
    made.envelope["signatures"] = made.envelope["signatures"] * made.rng.choice((2, 150))
    made.known = False


@mutation("envelope")
def signature_changed(made: Draft) -> None:
    for signature in made.envelope["signatures"] or [{}]:
        if isinstance(signature, dict):
            kind = made.rng.choice(("sig", "keyid"))
            signature[kind] = made.rng.choice(
                ("", "AAAA", "!!!!", "é", 7, None, made.canary, "\ud800", "A" * 88)
            )
    made.known = False


@mutation("envelope")
def payload_changed_after_signing(made: Draft) -> None:
    text = json.dumps(made.claims | {"rows": 1, "provenance": made.canary})
    made.envelope["payload"] = base64.b64encode(text.encode()).decode()
    made.known = False


@mutation("envelope")
def payload_spelled_otherwise(made: Draft) -> None:
    payload = made.envelope["payload"]
    made.envelope["payload"] = made.rng.choice((
        payload + "\n", payload[:9] + " " + payload[9:], payload.rstrip("=") + "====",
        payload.replace("+", "-"),
        payload[:-1], "é" + payload, payload + "!", None, 7, [payload], "",
    ))  # fmt: skip
    made.known = False


@mutation("envelope")
def payload_type_changed(made: Draft) -> None:
    made.envelope["payloadType"] = made.rng.choice(("application/json", "", None, 7, made.canary, "\ud800"))
    made.known = False


@mutation("envelope")
def said_beside_the_signature(made: Draft) -> None:
    """What nobody signed must not go on record with what somebody did."""
    extra = made.rng.choice(
        (made.canary, float("nan"), 10**40, "\ud800", [[]] * 200, {"a": made.canary}, 0.1, None)
    )
    if made.rng.random() < 0.5 and isinstance(made.envelope["signatures"], list):
        for signature in made.envelope["signatures"]:
            if isinstance(signature, dict):
                signature["note"] = extra
    else:
        made.envelope[made.rng.choice(("note", made.canary, ""))] = extra
    made.known = False


# --- the bytes of manifest.json


def _document(made: Draft, document: bytes) -> None:
    made.document, made.known = document, False


@mutation("document")
def manifest_damaged(made: Draft) -> None:
    _document(made, damaged(made, made.document, kind=made.rng.choice(("flip", "insert", "delete"))))


@mutation("document")
def manifest_cut_short(made: Draft) -> None:
    _document(made, made.document[: made.rng.randrange(len(made.document))])


@mutation("document")
def manifest_in_another_encoding(made: Draft) -> None:
    text = made.document.decode()
    _document(made, text.encode(made.rng.choice(("utf-8-sig", "utf-16", "utf-32-be", "cp037"))))


@mutation("document")
def manifest_with_keys_twice(made: Draft) -> None:
    extra = b'{"payload": "' + base64.b64encode(made.canary.encode()) + b'", "payloadType": "x", '
    _document(made, extra + made.document[1:])


@mutation("document")
def manifest_deep_or_huge(made: Draft) -> None:
    body = made.document
    _document(made, made.rng.choice((
        body + b" " * 70_000, b"[" * 60_000, b'{"a":' * 10_000, b'{"payload": 1' + b"0" * 5_000 + b"}",
        body[:-1] + b', "n": ' + b"9" * 4_000 + b"}", body[:-1] + b', "n": ' + b"[" * 900 + b"]" * 900 + b"}",
        body[:-1] + b', "n": 1e999}', body[:-1] + b', "n": NaN}', body + body, b"", b"\0" * 100, b"[]",
        b"null",
        body[:-1] + b', "' + made.canary.encode() + b'": "' + made.canary.encode() + b'"}',
    )))  # fmt: skip
