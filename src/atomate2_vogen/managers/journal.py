"""Record of which jobs of a flow have ended, so that a flow that was stopped goes on."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atomate2_vogen.errors import InputError
from atomate2_vogen.managers.workers import Answer

if TYPE_CHECKING:
    from jobflow import Flow

    from atomate2_vogen.managers.graph import Node


class Journal:
    """One line of JSON for the flow, and one for each job that has ended.

    Only jobs that ended are written, each after its output is in the job store: a job that was
    running when everything was killed is run again, and one that failed too.

    Parameters
    ----------
    path
        File; it is made with the first flow.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._answers: dict[tuple[str, int], Answer] = {}

    def begin(self, flow: Flow) -> Flow:
        """Take up the flow that the file is about, or begin the file.

        Parameters
        ----------
        flow
            Flow to run.

        Returns
        -------
        Flow
            The same flow with the identifiers under which its jobs left their outputs.

        Raises
        ------
        InputError
            If the file is about another flow, or is no journal.
        """
        from monty.json import MontyDecoder, MontyEncoder

        from atomate2_vogen.jobs.identity import settled

        text, digest = settled(json.dumps(flow.as_dict(), cls=MontyEncoder))
        if self.path.exists():
            self._read(digest)
        else:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._append({"flow": digest})
        same: Flow = MontyDecoder().process_decoded(json.loads(text))
        return same

    def answer(self, node: Node) -> Answer | None:
        """Answer of a job that has ended in an earlier run."""
        return self._answers.get(node.key)

    def add(self, node: Node, answer: Answer) -> None:
        """Write that a job has ended."""
        content = {key: value for key, value in asdict(answer).items() if value}
        self._append({"uuid": node.job.uuid, "index": node.job.index, **content})

    def _append(self, content: dict[str, Any]) -> None:
        with self.path.open("a", encoding="utf-8") as handle:
            handle.write(json.dumps(content) + "\n")

    def _read(self, digest: str) -> None:
        text = self.path.read_text(encoding="utf-8")
        whole, _, torn = text.rpartition("\n")
        try:
            first, *lines = [json.loads(line) for line in whole.splitlines()]
            found = first["flow"]
            for line in lines:
                key = line.pop("uuid"), line.pop("index")
                self._answers[key] = Answer(**line)
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{self.path} is no record of a flow; give another folder, or delete this one to "
                "begin anew"
            ) from error
        if found != digest:
            raise InputError(
                f"{self.path} is of another flow; give each flow a folder of its own, or delete "
                "this one to begin anew"
            )
        if torn:  # the write that was cut off; what follows must begin a line
            self.path.write_text(whole + "\n", encoding="utf-8")
