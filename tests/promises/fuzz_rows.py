"""Mutations of rows and columns: what a wrong export, a mistaken clerk or an attacker writes into a table.

One idea each, on a draft's rows before they are written. Must not be here: bytes (`fuzz_bytes`).
"""

from __future__ import annotations

from tests.promises.contribution_fuzzer import FORMATS, Draft, mutation

TEXTS = ("csv", "tsv", "ndjson")
RAW = (*TEXTS, "parquet")

INJECTIONS = (
    "'; DROP TABLE events; --", "${HOME}", "{{ 7*7 }}", "../../../../etc/passwd", "%s%n%x", "$(id)", "`id`",
    "<script>alert(1)</script>", '"; ATTACH \'/etc/passwd\' AS x; --', "\\\\host\\share",
    "getvariable('vault_key')",
)  # fmt: skip
FORMULAS = ("=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", '=HYPERLINK("http://x")', "\t=1")
NUMBERS = (
    "1e400", "-1e400", "NaN", "Infinity", "-inf", "9" * 400, "0x10", "1_000", "1,5", "١٢", "--1", "1e-400",
    "9223372036854775808", "-0", "0.005", "1e3", "", " 7 ", "７",
)  # fmt: skip
DATES = (
    "0000-00-00", "9999-12-31", "10000-01-01", "-4712-01-01", "infinity", "-infinity", "epoch", "2024-02-30",
    "2024-13-01", "24-1-2", "2024-01-01 25:00:00", "2024-01-01T00:00:00+99:99", "294247-01-10 04:00:54",
    "290309-12-22 (BC)", "now", "2024-06-01x",
)  # fmt: skip
CONTROLS = (
    "\x01",
    "\x07",
    "\x1b[2J",
    "\x7f",
    "\u202e",
    "\u200b",
    "\ufeff",
    "\u2028",
    "\x85",
    "\r",
    "\n",
    "\t",
)


def _cells(made: Draft, values: tuple[str, ...]) -> None:
    """Some cells become one of these, marked as this case's own."""

    def change(row: list[object]) -> None:
        place = made.rng.randrange(len(row))
        value = made.rng.choice(values)
        row[place] = f"{value}{made.canary}" if made.rng.random() < 0.5 else value

    made.touch_some(change)


@mutation("rows")
def cells_of_injection(made: Draft) -> None:
    _cells(made, INJECTIONS)


@mutation("rows")
def cells_of_formulas(made: Draft) -> None:
    _cells(made, FORMULAS)


@mutation("rows")
def cells_of_strange_numbers(made: Draft) -> None:
    _cells(made, NUMBERS)


@mutation("rows")
def cells_of_strange_dates(made: Draft) -> None:
    _cells(made, DATES)


@mutation("rows")
def identifiers_with_control_characters(made: Draft) -> None:
    made.touch_some(lambda row: row.__setitem__(0, f"{made.canary}{made.rng.choice(CONTROLS)}z"))


@mutation("rows")
def identifiers_of_blanks(made: Draft) -> None:
    made.touch_some(lambda row: row.__setitem__(0, made.rng.choice(("", " ", "\t ", "\u00a0", None))))


@mutation("rows")
def identifiers_too_long(made: Draft) -> None:
    length = made.rng.choice((41, 1_000, 30_000))
    made.touch_some(lambda row: row.__setitem__(0, (made.canary + "é" * length)[:length]))


@mutation("rows")
def identifiers_in_emoji_and_combining_marks(made: Draft) -> None:
    made.touch_some(
        lambda row: row.__setitem__(0, made.canary + made.rng.choice(("🧑‍🚀", "é" + "\u0301" * 9, "ﬀ", "İ")))
    )


@mutation("rows")
def one_identifier_for_all(made: Draft) -> None:
    made.touch_all()
    for row in made.rows:
        row[0] = f"{made.canary}same"


@mutation("rows")
def rows_twice(made: Draft) -> None:
    made.rows += [list(row) for row in made.rows]


@mutation("rows")
def rows_all_wrong(made: Draft) -> None:
    made.touch_all()
    for row in made.rows:
        row[1] = f"{made.canary} is not allowed here, at forty characters and more" * 2


@mutation("rows")
def no_rows(made: Draft) -> None:
    made.rows.clear()
    made.touched.clear()


@mutation("rows")
def more_rows_than_allowed(made: Draft) -> None:
    made.rows = [list(made.rows[number % len(made.rows)]) for number in range(1_003)]
    made.known = False  # fine for sales, too many for people


@mutation("rows")
def column_renamed(made: Draft) -> None:
    place = made.place()
    name = made.columns[place]
    made.columns[place] = made.rng.choice(
        (name.upper(), f" {name}x", f"{name}_", made.canary, "'; DROP--", "c0")
    )
    made.known = False


@mutation("rows", *RAW)
def column_name_in_blanks(made: Draft) -> None:
    place = made.place()
    made.columns[place] = f" {made.columns[place]} "
    made.known = False


@mutation("rows", *TEXTS)
def column_doubled(made: Draft) -> None:
    place = made.place()
    made.columns.append(made.columns[place])
    for row in made.rows:
        row.append(row[place])
    made.known = False


@mutation("rows")
def column_missing(made: Draft) -> None:
    place = made.place()
    del made.columns[place]
    for row in made.rows:
        del row[place]
    made.known = False


@mutation("rows")
def columns_reordered(made: Draft) -> None:
    order = list(range(len(made.columns)))
    made.rng.shuffle(order)
    made.columns = [made.columns[place] for place in order]
    made.rows = [[row[place] for place in order] for row in made.rows]
    made.known = made.format != "package"


@mutation("rows")
def columns_undeclared(made: Draft) -> None:
    for number in range(made.rng.choice((1, 3, 60))):
        made.columns.append(f"{made.canary} extra {number}")
        for row in made.rows:
            row.append(f"{made.canary}@example.org")


@mutation("rows", "csv", "tsv", "ndjson")
def columns_by_the_thousand(made: Draft) -> None:
    count = made.rng.choice((4_000, 4_100, 9_000))
    made.columns += [f"x{number}" for number in range(count)]
    for row in made.rows:
        row += [""] * count
    made.known = False  # too many, or too large


@mutation("rows")
def column_names_hostile(made: Draft) -> None:
    for number, name in enumerate(made.rng.sample(INJECTIONS, 4)):
        made.columns.append(f"{name}{number}")
        for row in made.rows:
            row.append("x")


@mutation("rows", "parquet", "package")
def column_type_changed(made: Draft) -> None:
    place = made.place()
    made.types[made.columns[place]] = made.rng.choice(
        (
            f"TRY_CAST(c{place} AS BIGINT)", f"c{place}::BLOB", f"[c{place}]", f"{{'a': c{place}, 'b': 1}}",
            f"map([coalesce(c{place}, '')], [c{place}])", "'infinity'::TIMESTAMP", "'-infinity'::DATE",
            "'nan'::DOUBLE",
            "99999999999999999999999999999999999999::DECIMAL(38,0)", "1e308::DOUBLE", "uuid()",
            "INTERVAL 3 DAYS",
            "'101'::BIT", "TIME '10:00:00'", "NULL::INTEGER",
            "170141183460469231731687303715884105727::HUGEINT",
            f"to_json(c{place})", "TIMESTAMPTZ '2024-01-01 00:00:00+14'", "'old'::ENUM('old')",
        )
    )  # fmt: skip
    made.touch_all()
    made.known = False


@mutation("rows", "parquet")
def parquet_that_expands(made: Draft) -> None:
    """A hundred megabytes that fit into a few kilobytes."""
    made.types[made.columns[0]] = f"repeat('{made.canary}', 50_000)"
    made.rows = [list(made.rows[number % len(made.rows)]) for number in range(400)]
    made.known = False


@mutation("rows", "package")
def package_of_raw_identifiers(made: Draft) -> None:
    made.touch_some(lambda row: row.__setitem__(0, f"{made.canary}raw"))


@mutation("rows", "package")
def package_of_odd_pseudonyms(made: Draft) -> None:
    odd = ("A" * 64, "a" * 63, "a" * 65, "a" * 64 + "\n", "\u0430" * 64, None)
    made.touch_some(lambda row: row.__setitem__(0, made.rng.choice(odd)))


assert set(RAW) < set(FORMATS)
