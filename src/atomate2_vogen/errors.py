"""Typed errors. Every message names the culprit and says what to do next.

`InputError` and its children are the user's to mend (the CLI ends with exit code 2);
the others report a damaged artefact, a missing extra or energies that cannot be compared.
"""

from __future__ import annotations

import traceback

from atomate2_vogen.masking import mask

LONGEST_REASON, LONGEST_TRACE = 2_000, 20_000
"""Characters of an error's text, and of a traceback, in documents and logs."""


def shortened(text: str, longest: int = LONGEST_REASON) -> str:
    """The text, its middle left out where it is longer than so many characters.

    Some errors repeat what they are about: pymongo's for a document that is too large has as
    many characters as the document.
    """
    if len(text) <= longest:
        return text
    note = f" [... {len(text)} characters in all ...] "
    kept = longest - len(note)
    return f"{text[: kept - kept // 4]}{note}{text[-(kept // 4) :]}"


def reason(error: BaseException) -> str:
    """Message of an error for a document; the name of its class where it has none."""
    return shortened(str(error) or repr(error))


def trace(error: BaseException) -> str:
    """The traceback of an error, for a log."""
    return shortened("".join(traceback.format_exception(error)), LONGEST_TRACE)


class VogenError(Exception):
    """Root of every error that this package raises on purpose; its text bears no password.

    Examples
    --------
    >>> from atomate2_vogen import VogenError, load_engine
    >>> try:
    ...     load_engine("no such engine")
    ... except VogenError as error:
    ...     print(type(error).__name__)
    InputError
    """

    def __init__(self, *arguments: object) -> None:
        super().__init__(*(mask(a) if isinstance(a, str) else a for a in arguments))


class InputError(VogenError, ValueError):
    """An argument or an input file that cannot be used."""


class UnknownFormulaError(InputError):
    """A formula that is not a compound of the oxide system."""


class UnknownSystemError(InputError):
    """A name of no oxide system that the package knows, or a file that describes none."""


class CountsError(InputError):
    """A request for zero, a negative or a non-integral number of crystals."""


class StructureFileError(InputError):
    """A structure file that is missing, empty or does not parse."""


class ElementError(InputError):
    """A structure that holds an element outside the oxide system."""


class DisorderError(InputError):
    """A structure with partial occupancies."""


class OverlapError(InputError):
    """A structure whose atoms lie unphysically close together."""


class MagneticMomentError(InputError):
    """Magnetic moments of a structure that are incomplete, not finite or not collinear."""


class NonFiniteError(InputError):
    """NaN or infinity in a lattice, in coordinates, in a grid or in an energy."""


class MissingEnergyError(InputError):
    """A crystal for training without an energy."""


class GridError(InputError):
    """A voxel grid of the wrong shape, or one from which no crystal can be read."""


class MissingModelError(InputError):
    """A trained model that was neither given nor shipped."""


class StoreAddressError(InputError):
    """A URI, a file or settings from which no store can be made."""


class SettingsError(InputError):
    """A settings file that cannot be read, an unknown setting, or a value that does not fit."""


class LaunchPadError(InputError):
    """A file that describes no LaunchPad, or a LaunchPad that is not set up."""


class OutputFolderError(InputError):
    """An output folder that holds another run or cannot be written."""


class ArtefactError(VogenError):
    """A data set, model or prototype file that is corrupt, hostile or of another version."""


class MissingTaskError(VogenError):
    """A task document that a job did not leave, or that another store holds."""


class EngineCapabilityError(InputError):
    """An engine that was asked for what it cannot give, such as bands of a force field."""


class SupercellError(InputError):
    """A phonon supercell that is none, or has more atoms than the stated limit."""


class BandDataError(VogenError):
    """Bands or phonons from which no verdict can be read: incomplete, or not finite."""


class SchemeMismatchError(VogenError):
    """Energies of two schemes that were about to meet on one hull."""


class MissingReferenceError(VogenError):
    """A hull that lacks the reference phases it needs."""


class BuildError(VogenError):
    """Documents that a builder should have made and did not."""


class MissingDependencyError(VogenError, ImportError):
    """An optional dependency that is not installed."""


class EngineSetupError(MissingDependencyError):
    """A program, or data under licence, that an engine needs and that is not found here."""


class TrainingError(VogenError):
    """A training that diverged or whose data cannot be learned from."""


class StoreConnectionError(VogenError):
    """A store that cannot be opened."""


class DatabaseError(VogenError):
    """A public database that gives no answer, or one of another form."""


class EngineError(VogenError):
    """A program that computes energies and gave no result; the message ends with its log."""


class ConvergenceError(EngineError):
    """A self-consistent cycle that did not converge."""


class EngineTimeoutError(EngineError):
    """A program that did not end in the time it was given.

    No `TimeoutError`: that is an `OSError`, after which a job would be run again.
    """


class EngineStoppedError(EngineError):
    """A program that a signal ended, or that ended with an error."""


class EngineOutputError(EngineError):
    """An output that is missing, damaged, of another version or of another crystal."""


class LaunchPadConnectionError(VogenError):
    """A LaunchPad whose database does not answer or refuses."""
