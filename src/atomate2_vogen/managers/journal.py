"""Record of which jobs have ended, so that flows that were stopped go on."""

from __future__ import annotations

import base64
import json
import zlib
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atomate2_vogen.errors import InputError
from atomate2_vogen.managers.workers import Answer

if TYPE_CHECKING:
    from jobflow import Flow

    from atomate2_vogen.managers.graph import Node


class Journal:
    """One line of JSON for each job that has ended.

    A job is written after its output is in the job store: one that was running when everything was
    killed is run again. So is one that raised, or whose output is a `JobFailure`.

    Parameters
    ----------
    path
        File; it is made with the first job that ends.

    Raises
    ------
    InputError
        If the file is no journal.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._answers: dict[tuple[str, int], tuple[int, dict[str, Any]]] = {}
        self._n_lines = 0
        self._digests: set[str] = set()
        self._seen: Counter[str] = Counter()
        if self.path.exists():
            self._read()
        else:
            self.path.parent.mkdir(parents=True, exist_ok=True)

    def recognisable(self, flow: Flow) -> Flow:
        """Return the flow with identifiers that depend on the content of its jobs alone.

        A job has the same identifier in a later run, also as part of another flow.

        Raises
        ------
        InputError
            If the same flow was given before in this run.
        """
        from monty.json import MontyDecoder, MontyEncoder

        from atomate2_vogen.jobs.identity import identify

        text, digest = identify(json.dumps(flow.as_dict(), cls=MontyEncoder), seen=self._seen)
        if digest in self._digests:
            raise InputError(f"the flow {flow.name} is given twice; give each flow once")
        self._digests.add(digest)
        same: Flow = MontyDecoder().process_decoded(json.loads(text))
        return same

    def answer(self, node: Node) -> tuple[int, Answer | None]:
        """Line and content of what a job ended with in an earlier run; (0, None) if it did not."""
        if node.key not in self._answers:
            return 0, None
        line, content = self._answers[node.key]
        made = {kind: _unpacked(text) for kind, text in content.get("diversions", {}).items()}
        return line, Answer(**{**content, "diversions": made})

    def add(self, node: Node, answer: Answer) -> int:
        """Write that a job has ended; the number of the line."""
        content = {key: value for key, value in asdict(answer).items() if value}
        content = {"uuid": node.job.uuid, "index": node.job.index, **content}
        if answer.diversions:
            made = {kind: _packed(text) for kind, text in answer.diversions.items()}
            content["diversions"] = made
        with self.path.open("a", encoding="utf-8") as handle:
            handle.write(json.dumps(content) + "\n")
        self._n_lines += 1
        return self._n_lines

    def _read(self) -> None:
        text = self.path.read_text(encoding="utf-8")
        whole, _, torn = text.rpartition("\n")
        try:
            for line in map(json.loads, whole.splitlines()):
                self._n_lines += 1
                key = line.pop("uuid"), line.pop("index")
                Answer(**line)  # raises where a field is unknown
                self._answers[key] = self._n_lines, line
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f"{self.path} is no record of jobs; give another folder, or delete this one to "
                "begin anew"
            ) from error
        if torn:  # the write that was cut off; what follows must begin a line
            self.path.write_text(whole + "\n" if whole else "", encoding="utf-8")


def _packed(text: str) -> str:
    """Compressed text: each of many jobs repeats the settings of its Maker."""
    return base64.b64encode(zlib.compress(text.encode())).decode()


def _unpacked(text: str) -> str:
    return zlib.decompress(base64.b64decode(text)).decode()
