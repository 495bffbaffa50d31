"""Damaged homes: what the real Codex says and serves of each kind of damage, beside what threadkeep does.

``python -m tests.faults.damage --codex PATH`` prints the table; without ``--codex`` threadkeep's side alone. What is
promised is checked in each row: never an empty history for a file that holds turns, never a turn that nobody took,
every intact turn served, what is damaged named by file and byte, appending goes on, old bytes stay.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, TextIO

import msgspec
from tests.appserver.in_process import Client, EchoEngine
from tests.codex.client import ClientError, RpcError
from tests.faults.damage_homes import recorded, written
from tests.faults.damage_kinds import KINDS, turn_lines

from threadkeep.appserver import Server
from threadkeep.errors import ThreadkeepError
from threadkeep.store import ThreadStore

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.codex.client import AppServer
    from tests.faults.damage_homes import DamagedHome
    from tests.faults.damage_kinds import Kind

__all__ = ["Answers", "Row", "broken", "main", "row"]

Json = dict[str, Any]

_WARNED_SECONDS: Final = 30.0


class Answers(msgspec.Struct):
    """What a server said to the usual questions; of each either a number or the error.

    Attributes:
        listed: Threads that were listed.
        read: Turns in the answer to ``thread/read`` with turns.
        turns: Turns that were listed.
        items: Items that were listed.
        fork: Turns in the answer to ``thread/fork``.
        resume: Turns in the answer to ``thread/resume``.
        append: How the turn after that ended.
        warnings: What was said without being asked.
        served: The turns that were listed, oldest first.
        after: Ids of the turns that were listed after the append.
    """

    listed: str = ""
    read: str = ""
    turns: str = ""
    items: str = ""
    fork: str = ""
    resume: str = ""
    append: str = ""
    warnings: list[str] = []
    served: list[Json] | None = None
    after: list[str] | None = None


class Row(msgspec.Struct):
    """One kind of damage to one home.

    Attributes:
        mode: History mode of the thread.
        database: Whether Codex's SQLite files are there.
        kind: The damage.
        codex: What Codex said; None where it was not asked.
        threadkeep: What threadkeep's server said.
        doctor: What ``doctor`` found of the thread's file: kinds with their severities and places.
        verify: What ``verify`` said.
        broken: Which promises were broken.
    """

    mode: str
    database: bool
    kind: str
    codex: Answers | None
    threadkeep: Answers
    doctor: list[str]
    verify: str
    broken: list[str]


class _Asked(Protocol):
    """A client that may be refused."""

    def ask(self, method: str, params: Json) -> Any: ...
    def run(self, thread: str) -> str: ...
    def warned(self) -> list[str]: ...


class _Refused(Exception):
    """The server answered with an error."""


class _Ours:
    """threadkeep's server, in this process."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def ask(self, method: str, params: Json) -> Any:
        answer = self._client.response(self._client.send(method, params))
        if "error" in answer:
            raise _Refused(f"{answer['error']['code']} {answer['error']['message']}")
        return answer["result"]

    def run(self, thread: str) -> str:
        turn = self.ask("turn/start", {"threadId": thread, "input": [{"type": "text", "text": "after"}]})["turn"]["id"]
        self._client.hear_end(turn)
        return "completed"

    def warned(self) -> list[str]:
        said = [message["params"] for message in self._client.messages if message.get("method") == "warning"]
        return [str(params.get("message")) for params in said]


class _Theirs:
    """The real server."""

    def __init__(self, server: AppServer) -> None:
        self._server = server

    def ask(self, method: str, params: Json) -> Any:
        try:
            return self._server.request(method, params, timeout=30)
        except RpcError as error:
            raise _Refused(f"{error.code} {error.message}") from error
        except ClientError as error:
            raise _Refused(f"no answer: {type(error).__name__}") from error

    def run(self, thread: str) -> str:
        try:
            return str(self._server.run_turn(thread, "after", timeout=20)["status"])
        except RpcError as error:
            raise _Refused(f"{error.code} {error.message}") from error
        except ClientError as error:
            return f"no end: {type(error).__name__}"

    def warned(self) -> list[str]:
        bodies = [message.body for message in self._server.messages]
        return [str(body["params"].get("message")) for body in bodies if body.get("method") == "warning"]


def _interview(asked: _Asked, thread: str, *, await_warning: bool = False) -> Answers:
    """Ask what clients ask: lists and reads first, which change nothing, then a fork, a resume and a turn."""
    answers = Answers()
    page: Json = {"threadId": thread, "limit": 100, "sortDirection": "asc"}
    answers.listed, _ = _said(asked, "thread/list", {}, "data")
    answers.read, _ = _said(asked, "thread/read", {"threadId": thread, "includeTurns": True}, "thread", "turns")
    answers.turns, served = _said(asked, "thread/turns/list", {**page, "itemsView": "full"}, "data")
    answers.served = served
    answers.items, _ = _said(asked, "thread/items/list", page, "data")
    answers.fork, _ = _said(asked, "thread/fork", {"threadId": thread}, "thread", "turns")
    answers.resume, _ = _said(asked, "thread/resume", {"threadId": thread}, "thread", "turns")
    try:
        answers.append = asked.run(thread)
        answers.after = [turn["id"] for turn in asked.ask("thread/turns/list", page)["data"]]
    except _Refused as refused:
        answers.append = answers.append or str(refused)
    deadline = time.monotonic() + (_WARNED_SECONDS if await_warning and answers.resume.isdecimal() else 0)
    while not (warnings := asked.warned()) and time.monotonic() < deadline:
        time.sleep(0.02)
    answers.warnings = sorted(set(warnings))
    return answers


def _said(asked: _Asked, method: str, params: Json, *path: str) -> tuple[str, list[Json] | None]:
    """(how many there are or the error, what there is)."""
    try:
        found = asked.ask(method, params)
    except _Refused as refused:
        return str(refused), None
    for name in path:
        found = found[name]
    return str(len(found)), found


# A row


def row(home: DamagedHome, kind: Kind, *, database: bool, codex: Path | None = None) -> Row:
    """Damage the home in one way and ask everybody."""
    theirs = None
    if codex is not None and home.lab is not None:
        home.damage(kind, database=database)
        with home.lab.server() as server:
            theirs = _interview(_Theirs(server), home.thread)
        theirs.served = None
    intact = _intact_turns(home)
    damaged = home.damage(kind, database=database)
    found, verified = _looked_over(home)
    with _serving(home) as client:
        ours = _interview(_Ours(client), home.thread, await_warning=kind.lost and kind.heard)
    made = Row(home.mode, database, kind.name, theirs, ours, found, verified, [])
    made.broken = broken(home, kind, made, intact, damaged)
    ours.served = None
    return made


def _intact_turns(home: DamagedHome) -> list[Json]:
    home.damage(KINDS["intact"], database=True)
    with ThreadStore.open(home.path, durability="os") as store:
        turns = list(store.turns(home.thread, limit=100, descending=False, view="full").data)
    assert [turn["id"] for turn in turns] == list(turn_lines(home.intact.splitlines())), "nothing to compare with"
    return turns


def _looked_over(home: DamagedHome) -> tuple[list[str], str]:
    """What ``doctor`` finds of the thread, and what ``verify`` says."""
    with ThreadStore.open(home.path, durability="os") as store:
        findings = [
            f"{finding.kind} ({finding.severity}) {finding.detail} [{finding.path}]"
            for finding in store.doctor()
            if finding.thread == home.thread or (finding.path and home.thread in finding.path)
        ]
        try:
            verified = store.verify(home.thread)
        except ThreadkeepError as error:
            return findings, str(error)
        wrong = [f"{check.name}: {check.difference}" for check in verified.checks if not check.ok]
        said = "; ".join(wrong) or verified.problem or ("ok" if verified.ok else "damage")
        return findings, said


@contextlib.contextmanager
def _serving(home: DamagedHome) -> Iterator[Client]:
    server = Server(str(home.path), engine=EchoEngine())
    server._warmed = True  # what it loads ahead must not look at a home that is put back meanwhile
    try:
        with Client(server, "damage") as client:
            yield client
    finally:
        server.shutdown(5)


# What is promised


def broken(home: DamagedHome, kind: Kind, made: Row, intact: Sequence[Json], damaged: bytes | None) -> list[str]:
    """Which promises a row breaks."""
    ours = made.threadkeep
    found: list[str] = []
    untouched = _untouched(home, kind, intact)
    by_id = {turn["id"]: turn for turn in intact}
    served = ours.served
    if served is not None:
        if not served and untouched:
            found.append("an empty history for a file that holds turns")
        for turn in served:
            found += _made_up(turn, by_id.get(turn["id"]))
        shown = {turn["id"]: turn for turn in served}
        # Of a turn that stands twice, one may be shown as it was cut off by the other.
        missing = [turn["id"] for turn in untouched if turn["id"] not in shown]
        plain = [_without_counts(turn) for turn in served]
        changed = [turn["id"] for turn in untouched if turn["id"] in shown and _without_counts(turn) not in plain]
        if missing or changed:
            found.append(f"intact turns are not served as they were: missing {missing}, changed {changed}")
        if {ours.read, ours.resume if kind.appendable else ours.read} != {str(len(served))}:
            found.append(f"{len(served)} turns listed, {ours.read} read, {ours.resume} resumed")
    elif untouched and kind.appendable:
        found.append(f"intact turns, and none of them served: {ours.turns}")
    if untouched and ours.listed != "2":
        found.append(f"a thread with readable turns is not listed: {ours.listed}")
    found += _told(home, kind, made)
    if kind.appendable and (ours.append != "completed" or len(ours.after or ()) != len(served or ()) + 1):
        found.append(f"a turn could not be appended, or is not shown: {ours.append}")
    if damaged is not None and not home.rollout.read_bytes().startswith(damaged):
        found.append("old bytes were changed")
    return found


def _untouched(home: DamagedHome, kind: Kind, intact: Sequence[Json]) -> list[Json]:
    """The turns none of whose lines were damaged. That a thread is another's or gone touches all."""
    lines = home.intact.splitlines()
    touched = kind.touched(lines)
    places = turn_lines(lines)
    return [turn for turn in intact if not set(places.get(turn["id"], range(len(lines)))) & set(touched)]


def _made_up(turn: Json, known: Json | None) -> list[str]:
    if known is None:
        return [f"turn {turn['id']} was never taken"]
    said = {_text(item) for item in known["items"]}
    return [f"an item of turn {turn['id']} was never recorded" for item in turn["items"] if _text(item) not in said]


def _without_counts(turn: Json) -> Json:
    return {**turn, "items": [_text(item) for item in turn["items"]]}


def _text(item: Json) -> str:
    """An item without its id, which says in legacy threads where its record stands."""
    return json.dumps({key: value for key, value in item.items() if key != "id"}, sort_keys=True)


def _told(home: DamagedHome, kind: Kind, made: Row) -> list[str]:
    """What is lost is named by file and byte: by ``doctor``, and to whoever loads the thread."""
    if not kind.lost:
        return []
    found = []
    named = [finding for finding in made.doctor if home.rollout.name in finding]
    if kind.name != "file-missing" and not any(re.search(r"\bbyte \d+", finding) for finding in named):
        found.append(f"doctor does not name file and byte: {made.doctor}")
    ours = made.threadkeep
    refused = not ours.resume.isdecimal()
    if refused and (home.thread not in ours.resume and home.rollout.name not in ours.resume):
        found.append(f"the refusal does not say of what: {ours.resume}")
    if (
        kind.heard
        and not refused
        and not any(home.rollout.name in said and re.search(r"\bbyte \d+", said) for said in ours.warnings)
    ):
        found.append(f"nobody who loads it is told: {ours.warnings}")
    return found


# The table


def _rows(options: argparse.Namespace) -> Iterator[Row]:
    codex = Path(shutil.which(options.codex) or options.codex).resolve() if options.codex else None
    for mode in ("paginated", "legacy"):
        with written(mode, codex) if codex is not None else recorded(mode) as home:
            for database in (True, False):  # with Codex's SQLite files, and without
                for name in options.kind or KINDS:
                    if sys.stderr.isatty():
                        _tell(f"{mode} {'with' if database else 'without'} SQLite: {name}", sys.stderr)
                    yield row(home, KINDS[name], database=database, codex=codex)


def _table(rows: Sequence[Row]) -> str:
    errors: dict[str, str] = {}
    asked = any(made.codex is not None for made in rows)
    heads = ["damage", *(["Codex serves", "Codex says"] if asked else [])]
    heads += ["threadkeep serves", "threadkeep says", "doctor"]
    lines = [f"| {' | '.join(heads)} |", f"|{' --- |' * len(heads)}"]
    for made in rows:
        place = f"{made.mode}, {'with' if made.database else 'without'} SQLite: {made.kind}"
        cells = [place]
        if asked:
            cells += [_served(made.codex), _says(made.codex, errors)] if made.codex else ["", ""]
        cells += [_served(made.threadkeep), _says(made.threadkeep, errors), _doctor(made.doctor)]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", *(f"- {short}: {text}" for text, short in errors.items())]
    return "\n".join(lines)


def _served(answers: Answers) -> str:
    asked = {
        "listed": answers.listed,
        "read": answers.read,
        "turns": answers.turns,
        "items": answers.items,
        "fork": answers.fork,
        "resume": answers.resume,
    }
    parts = [f"{name} {said if said.isdecimal() else '✗'}" for name, said in asked.items()]
    return " ".join([*parts, "append ✓" if answers.append == "completed" else "append ✗"])


def _says(answers: Answers, errors: dict[str, str]) -> str:
    said = [answers.read, answers.turns, answers.fork, answers.resume, *answers.warnings]
    texts = dict.fromkeys(_plain(text) for text in said if text and not text.isdecimal())
    return " ".join(errors.setdefault(text, f"E{len(errors) + 1}") for text in texts) or "nothing"


def _plain(text: str) -> str:
    """A message without the paths and ids of one run, fit for a table."""
    text = re.sub(r"/[^\s:`]*rollout-[^\s:`]*?\.jsonl", "FILE", text)
    text = re.sub(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f-]{22}", "ID", text)
    return " ".join(text.split())[:400].replace("|", "\\|")


def _doctor(found: Sequence[str]) -> str:
    """Kinds and first places of what is worth a look."""
    cells = []
    for finding in found:
        kind, severity = finding.split(" ", 2)[:2]
        place = re.search(r"\bbyte ([\d,]+)", finding)
        cells.append(f"{kind} {severity}{f' at byte {place[1]}' if place else ''}")
    return "; ".join(dict.fromkeys(cells)) or "nothing"


def _tell(text: str, stream: TextIO | None = None) -> None:
    print(text, file=stream or sys.stdout, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table, and return 1 where a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.damage", description=__doc__)
    parser.add_argument("--codex", metavar="PATH", help="the real Codex binary, to ask it too")
    parser.add_argument("--kind", action="append", choices=list(KINDS), help="only this one; may be repeated")
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    parser.add_argument("--seed", type=int, default=0, help="nothing here is chance: printed, and that is all")
    options = parser.parse_args(arguments)
    rows = list(_rows(options))
    _tell(msgspec.json.encode(rows).decode() if options.json else _table(rows))
    failed = [made for made in rows if made.broken]
    _tell(f"\nseed {options.seed}; {len(rows)} homes, {len(failed)} with a broken promise", sys.stderr)
    for made in failed:
        _tell(f"{made.mode} {made.database} {made.kind}: {'; '.join(made.broken)}", sys.stderr)
    if failed:
        asked = f"--codex {options.codex} " if options.codex else ""
        _tell(f"again: python -m tests.faults.damage {asked}--kind KIND", sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
