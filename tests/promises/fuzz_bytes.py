"""Mutations of a file's text and bytes: encodings, structure, damage, and files that are something else.

One idea each. Must not be here: rows (`fuzz_rows`), or the manifest beside the file (`fuzz_manifest`).
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import struct
import tarfile
import zipfile

import pyrage

from tests.promises.contribution_fuzzer import Draft, mutation
from tests.promises.fuzz_rows import RAW, TEXTS

SEPARATED = ("csv", "tsv")


def damaged(made: Draft, data: bytes, *, kind: str) -> bytes:
    """A few bytes flipped, put in, or cut out, at places drawn by lot."""
    found = bytearray(data)
    for _ in range(made.rng.choice((1, 1, 2, 8))):
        place = made.rng.randrange(len(found) + 1)
        match kind:
            case "flip" if found:
                found[place % len(found)] ^= 1 << made.rng.randrange(8)
            case "insert":
                found[place:place] = made.rng.randbytes(made.rng.choice((1, 4, 100)))
            case "delete":
                del found[place : place + made.rng.choice((1, 4, 100))]
    return bytes(found)


def _bytes(made: Draft, data: bytes) -> None:
    made.data, made.known = data, False


# --- text


@mutation("text", *TEXTS)
def a_quote_left_open(made: Draft) -> None:
    _spoil(made, '"')


@mutation("text", *TEXTS)
def a_lone_delimiter(made: Draft) -> None:
    _spoil(made, made.rng.choice((",", "\t", ";", "}", "[", "\\")))


@mutation("text", *TEXTS)
def a_nul_character(made: Draft) -> None:
    _spoil(made, "\0")


@mutation("text", *TEXTS)
def a_lone_surrogate(made: Draft) -> None:
    _spoil(made, "\ud800")


@mutation("text", *TEXTS)
def a_carriage_return_inside(made: Draft) -> None:
    _spoil(made, made.rng.choice(("\r", "\r\n", "\n\n", "\x0b", "\x1e")))


def _spoil(made: Draft, sign: str) -> None:
    assert made.text is not None
    place = made.rng.randrange(len(made.text) + 1)
    made.text = made.text[:place] + sign + made.text[place:]
    made.known = False


@mutation("text", *TEXTS)
def windows_line_ends(made: Draft) -> None:
    assert made.text is not None
    made.text = made.text.replace("\n", "\r\n")


@mutation("text", *TEXTS)
def no_line_end_at_the_end(made: Draft) -> None:
    assert made.text is not None
    made.text = made.text.rstrip("\n")


@mutation("text", *TEXTS)
def a_line_too_long(made: Draft) -> None:
    assert made.text is not None
    long = made.canary + "x" * made.rng.choice((90_000, 1_100_000))
    made.text += json.dumps({"household_id": long}) + "\n" if made.format == "ndjson" else f"{long}\n"
    made.known = False


@mutation("text", *TEXTS)
def lines_cut_short(made: Draft) -> None:
    assert made.text is not None
    lines = made.text.split("\n")
    place = made.rng.randrange(len(lines))
    lines[place] = lines[place][: len(lines[place]) // 2]
    made.text, made.known = "\n".join(lines), False


@mutation("text", *SEPARATED)
def no_header(made: Draft) -> None:
    assert made.text is not None
    made.text, made.known = made.text.partition("\n")[2], False


@mutation("text", *SEPARATED)
def another_delimiter(made: Draft) -> None:
    assert made.text is not None
    made.text = made.text.replace(",", ";").replace("\t", "|")
    made.known = False


@mutation("text", "ndjson")
def json_that_is_no_object(made: Draft) -> None:
    assert made.text is not None
    made.text += (
        made.rng.choice(("[1]", "null", "7", '"x"', "NaN", "{}", "{", "[" * 30_000, '{"a":' * 9_000)) + "\n"
    )
    made.known = False


@mutation("text", "ndjson")
def json_key_twice(made: Draft) -> None:
    assert made.text is not None
    made.text += '{"household_id": "a", "household_id": "b", "age": "old"}\n'
    made.known = False


@mutation("text", "ndjson")
def json_keys_hostile(made: Draft) -> None:
    assert made.text is not None
    keys = ["", "~", "/", "$.a", "a'b", 'a"b', "\u0000", "\ud800", "*", "[0]", "#-1"]
    made.text += json.dumps(dict.fromkeys(keys, made.canary)) + "\n"
    made.known = False


@mutation("text", "ndjson")
def json_values_nested(made: Draft) -> None:
    assert made.text is not None
    made.text += json.dumps({"household_id": {"a": [made.canary]}, "age": ["old"], "income": None}) + "\n"
    made.known = False


@mutation("text", "ndjson")
def json_as_one_array(made: Draft) -> None:
    assert made.text is not None
    made.text = "[" + ",".join(made.text.split("\n")[:-1]) + "]"
    made.known = False


@mutation("text", "ndjson")
def json_keys_by_the_thousand(made: Draft) -> None:
    """One row with thousands of keys before a million rows without any: looked for in each, that is hours."""
    made.text = json.dumps({f"k{number}": 1 for number in range(4_000)}) + "\n" + "{}\n" * 1_000_000
    made.known = False


# --- the inside of Parquet and of a package, before it is sealed


@mutation("inner", "package")
def package_key_cut_short(made: Draft) -> None:
    made.inner, made.known = made.inner[: made.rng.randrange(40)], False


@mutation("inner", "package")
def package_of_another_key(made: Draft) -> None:
    made.inner, made.known = made.rng.randbytes(32) + made.inner[32:], False


@mutation("inner", "package")
def package_damaged_inside(made: Draft) -> None:
    made.inner = made.inner[:32] + damaged(
        made, made.inner[32:], kind=made.rng.choice(("flip", "insert", "delete"))
    )
    made.known = False


@mutation("inner", "package")
def package_that_expands(made: Draft) -> None:
    made.inner, made.known = made.inner + b"\0" * made.rng.choice((100_001, 30_000_000)), False


@mutation("inner", "package")
def package_of_a_csv(made: Draft) -> None:
    made.inner, made.known = made.inner[:32] + f"unit,age,income\n{made.canary},old,low\n".encode(), False


@mutation("inner", "package")
def package_in_a_package(made: Draft) -> None:
    made.inner, made.known = pyrage.encrypt(made.inner, [made.rules.recipient]), False


@mutation("inner", "parquet")
def parquet_footer_lies(made: Draft) -> None:
    """Bytes of the footer changed one by one: counts, sizes, offsets, types, names."""
    length = struct.unpack("<I", made.inner[-8:-4])[0]
    found = bytearray(made.inner)
    for _ in range(made.rng.choice((1, 1, 3))):
        found[-8 - made.rng.randrange(length) - 1] = made.rng.randrange(256)
    made.inner, made.known = bytes(found), False


@mutation("inner", "parquet")
def parquet_footer_length_lies(made: Draft) -> None:
    length = made.rng.choice((0, 1, 0x7FFFFFFF, 0xFFFFFFFF, len(made.inner)))
    made.inner, made.known = made.inner[:-8] + struct.pack("<I", length) + b"PAR1", False


@mutation("inner", "parquet")
def parquet_pages_damaged(made: Draft) -> None:
    length = struct.unpack("<I", made.inner[-8:-4])[0]
    pages, footer = made.inner[4 : -8 - length], made.inner[-8 - length :]
    found = bytearray(pages)
    for _ in range(made.rng.choice((1, 3, 20))):
        found[made.rng.randrange(len(found))] = made.rng.randrange(256)
    made.inner, made.known = made.inner[:4] + bytes(found) + footer, False


# --- bytes


@mutation("bytes")
def bytes_flipped(made: Draft) -> None:
    _bytes(made, damaged(made, made.data, kind="flip"))


@mutation("bytes")
def bytes_inserted(made: Draft) -> None:
    _bytes(made, damaged(made, made.data, kind="insert"))


@mutation("bytes")
def bytes_deleted(made: Draft) -> None:
    _bytes(made, damaged(made, made.data, kind="delete"))


@mutation("bytes")
def truncated(made: Draft) -> None:
    _bytes(made, made.data[: made.rng.randrange(len(made.data) + 1)])


@mutation("bytes")
def bytes_of_noise(made: Draft) -> None:
    _bytes(made, made.rng.randbytes(made.rng.choice((1, 50, 5_000))))


@mutation("bytes")
def file_twice_in_a_row(made: Draft) -> None:
    _bytes(made, made.data * 2)


@mutation("bytes")
def bytes_of_zero(made: Draft) -> None:
    _bytes(made, made.data + b"\0" * made.rng.choice((1, 4096)))


@mutation("bytes", *TEXTS)
def encoded_otherwise(made: Draft) -> None:
    encoding = made.rng.choice(
        ("utf-16", "utf-16-le", "utf-32", "utf-7", "latin-1", "cp1252", "cp037", "shift_jis")
    )
    text = made.data.decode("utf-8", "replace") + "é,ü\n"
    _bytes(made, text.encode(encoding, "replace"))


@mutation("bytes", *TEXTS)
def encodings_mixed(made: Draft) -> None:
    half = len(made.data) // 2
    _bytes(made, made.data[:half] + "é".encode("latin-1") + made.data[half:])


@mutation("bytes", *TEXTS)
def byte_order_marks(made: Draft) -> None:
    _bytes(made, b"\xef\xbb\xbf" * made.rng.choice((1, 2)) + made.data)


@mutation("bytes", *TEXTS)
def overlong_utf8(made: Draft) -> None:
    _bytes(
        made,
        made.data + made.rng.choice((b"\xc0\xaf", b"\xf8\x88\x80\x80\x80", b"\xed\xa0\x80", b"\xff")) + b"\n",
    )


@mutation("bytes")
def compressed(made: Draft) -> None:
    made.data = made.rng.choice((gzip.compress, bz2.compress, lzma.compress))(made.data)
    made.known = False


@mutation("bytes")
def a_bomb_of_gzip(made: Draft) -> None:
    _bytes(made, gzip.compress(b"a" * 60_000_000, 9)[:90_000])


@mutation("bytes")
def an_archive_of_traversal(made: Draft) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../../../outside/planted.txt", "x")
        archive.writestr("/tmp/planted.txt", "x")
        archive.writestr("bomb.csv", "0" * 20_000_000)
        archive.writestr("nested.zip", out.getvalue())
    _bytes(made, out.getvalue())


@mutation("bytes")
def a_tar_of_traversal(made: Draft) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name in ("../../outside/planted.txt", "/etc/planted"):
            archive.addfile(tarfile.TarInfo(name))
    _bytes(made, out.getvalue())


@mutation("bytes")
def larger_than_allowed(made: Draft) -> None:
    _bytes(made, made.data + b"x" * 20_000_001)


@mutation("bytes", "package")
def sealed_to_somebody_else(made: Draft) -> None:
    _bytes(made, pyrage.encrypt(made.inner, [pyrage.x25519.Identity.generate().to_public()]))


@mutation("bytes", "package")
def sealed_with_a_passphrase(made: Draft) -> None:
    _bytes(made, pyrage.passphrase.encrypt(made.inner, "x"))


@mutation("bytes", "package")
def age_header_lies(made: Draft) -> None:
    header, mark, rest = made.data.partition(b"\n---")
    extra = made.rng.choice(
        (b"\n-> scrypt AAAA 62\nAAAA", b"\n-> X25519 AAAA\nAAAA", b"\n-> x\n" + b"A" * 90_000, b"\n" * 9)
    )
    _bytes(made, header + extra + mark + rest)


@mutation("bytes", "package")
def not_sealed_at_all(made: Draft) -> None:
    _bytes(made, made.inner[32:])


assert set(SEPARATED) < set(RAW)
