"""Mutations of the delivery's folder: names, links, and things that are no files.

One idea each; each is done on disk after an honest delivery was written. `Rules.outside` is a folder beside
the house that nobody may touch: links lead there. Must not be here: what is in the files.
"""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

from tests.promises.contribution_fuzzer import Draft, mutation


def _then(made: Draft, change: Callable[[Path], Path | None]) -> None:
    made.on_disk.append(change)


def _extra(made: Draft, change: Callable[[Path], object]) -> None:
    """Something beside the file and its manifest."""
    made.known = False

    def act(folder: Path) -> None:
        change(folder)

    _then(made, act)


def _replace(path: Path, put: Callable[[Path], object]) -> None:
    path.unlink(missing_ok=True)
    put(path)


def _socket(path: Path) -> None:
    here = os.getcwd()
    os.chdir(path.parent)  # a socket's path must be short
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path.name)
    os.chdir(here)


def _odd(made: Draft) -> Callable[[Path], object]:
    """Something that is no regular file, to be made at a path."""
    outside = made.rules.outside
    return made.rng.choice((
        os.mkfifo, _socket, lambda path: path.mkdir(),
        lambda path: path.symlink_to(outside / "secret.csv"),
        lambda path: path.symlink_to(outside),
        lambda path: path.symlink_to(outside / "pipe"),  # whoever reads it waits for ever
        lambda path: path.symlink_to("/dev/zero"),
        lambda path: path.symlink_to(path.name),
        lambda path: path.symlink_to("../../../../no/such/file"),
    ))  # fmt: skip


@mutation("folder")
def name_of_another_kind(made: Draft) -> None:
    made.name = made.rng.choice((
        f"{made.canary} x", "..%2f..%2fx", "-rf", "~", "$HOME", "x" * 255, "a\nb", "\udcff\udcfe", "a:b",
        "käse",
        "COM1 ", "* [a]", "'; DROP TABLE x; --", "a\\..\\b", "\u202egpj", "..x", "a" * 81,
    ))  # fmt: skip
    if made.name.startswith("."):
        made.waits = True
    made.known = False


@mutation("folder")
def name_that_is_hidden(made: Draft) -> None:
    made.name, made.waits = f".case-{made.case}.partial", True


@mutation("folder")
def no_manifest_yet(made: Draft) -> None:
    made.waits = True
    _then(made, lambda folder: (folder / "manifest.json").unlink(missing_ok=True))


@mutation("folder")
def a_file_and_no_folder(made: Draft) -> None:
    made.waits = True

    def act(folder: Path) -> None:
        shutil.rmtree(folder)
        folder.write_bytes(made.data)

    _then(made, act)


@mutation("folder")
def manifest_is_no_file(made: Draft) -> None:
    odd = _odd(made)
    _extra(made, lambda folder: _replace(folder / "manifest.json", odd))


@mutation("folder")
def data_is_no_file(made: Draft) -> None:
    odd = _odd(made)
    _extra(made, lambda folder: _replace(folder / made.file, odd))


@mutation("folder")
def data_is_a_link_to_what_would_fit(made: Draft) -> None:
    """Whoever follows it finds a file with the right digest, outside."""
    target = made.rules.outside / "would-fit"

    def act(folder: Path) -> None:
        target.write_bytes(made.data)
        _replace(folder / made.file, lambda path: path.symlink_to(target))

    _extra(made, act)


@mutation("folder")
def folder_is_a_link(made: Draft) -> None:
    def act(folder: Path) -> None:
        target = made.rules.outside / "delivery"
        shutil.rmtree(target, ignore_errors=True)
        shutil.move(folder, target)
        folder.symlink_to(target)

    made.known = False
    _then(made, act)


@mutation("folder")
def something_odd_beside(made: Draft) -> None:
    odd, name = (
        _odd(made),
        made.rng.choice(("extra", "CON", "nul.csv", "a\nb", "\udcff", "-rf", "y" * 255, ".hidden")),
    )
    _extra(made, lambda folder: odd(folder / name) if odd is not _socket else _socket(folder / "extra"))


@mutation("folder")
def more_files_beside(made: Draft) -> None:
    names = (
        f"{made.canary}.txt",
        "people-2.csv",
        "a\nb",
        "\udcff\udcfe",
        "z" * 255,
        ".hidden",
        "manifest.json.bak",
    )
    chosen = made.rng.sample(names, 3)

    def act(folder: Path) -> None:
        for name in chosen:
            (folder / name).write_text(f"{made.canary},old,low\n")

    _extra(made, act)


@mutation("folder")
def files_by_the_thousand(made: Draft) -> None:
    def act(folder: Path) -> None:
        for number in range(1_500):
            (folder / f"part-{number}").touch()

    _extra(made, act)


@mutation("folder")
def folders_in_folders(made: Draft) -> None:
    depth = made.rng.choice((3, 400, 1_500))

    def act(folder: Path) -> None:
        here = os.open(folder, os.O_RDONLY)
        for _ in range(depth):
            os.mkdir("d", dir_fd=here)
            below = os.open("d", os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = below
        with os.fdopen(os.open("deep.txt", os.O_WRONLY | os.O_CREAT, dir_fd=here), "w") as file:
            file.write(made.canary)
        os.close(here)

    _extra(made, act)


@mutation("folder")
def links_in_a_circle(made: Draft) -> None:
    def act(folder: Path) -> None:
        (folder / "sub").mkdir()
        (folder / "sub" / "up").symlink_to("..")
        (folder / "sub" / "out").symlink_to(made.rules.outside)

    _extra(made, act)


@mutation("folder")
def a_hole_of_a_terabyte(made: Draft) -> None:
    """A sparse file takes no room until somebody copies it."""
    made.known = False

    def act(folder: Path) -> None:
        if (folder / made.file).is_file():
            os.truncate(folder / made.file, 1 << 40)

    _then(made, act)
