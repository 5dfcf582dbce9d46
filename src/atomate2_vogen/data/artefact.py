"""Files that travel inside documents: packed to base64 with a hash, checked when unpacked."""

from __future__ import annotations

import base64
import binascii
import hashlib

from atomate2_vogen.errors import ArtefactError
from atomate2_vogen.schemas import Artefact


def make_artefact(filename: str, data: bytes) -> Artefact:
    """Pack the bytes of a file for a document.

    Parameters
    ----------
    filename
        Name to give the file when it is written again.
    data
        Its content.

    Returns
    -------
    Artefact
        The content in base64 with its SHA-256.

    Examples
    --------
    >>> from atomate2_vogen.data import make_artefact, read_artefact
    >>> artefact = make_artefact("weights.bin", b"content")
    >>> artefact.filename, read_artefact(artefact)
    ('weights.bin', b'content')
    """
    return Artefact(
        filename=filename,
        sha256=hashlib.sha256(data).hexdigest(),
        content=base64.b64encode(data).decode("ascii"),
    )


def read_artefact(artefact: Artefact) -> bytes:
    """Unpack the bytes of a file and check them.

    Raises
    ------
    ArtefactError
        If the content is not base64 or its hash is not the one that was stored.

    Examples
    --------
    >>> from atomate2_vogen.data import make_artefact, read_artefact
    >>> read_artefact(make_artefact("weights.bin", b"content"))
    b'content'
    """
    try:
        data = base64.b64decode(artefact.content, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ArtefactError(
            f"{artefact.filename} is damaged: its content is not base64; "
            "run the job that made it again"
        ) from error
    digest = hashlib.sha256(data).hexdigest()
    if digest != artefact.sha256:
        raise ArtefactError(
            f"{artefact.filename} is damaged: SHA-256 is {digest[:12]}…, stored was "
            f"{artefact.sha256[:12]}…; run the job that made it again"
        )
    return data
