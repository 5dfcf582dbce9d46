"""Jobs of milliseconds for tests of workflow managers; a calculation whose result is known."""

from __future__ import annotations

from jobflow import CURRENT_JOB, Flow, JobConfig, OnMissing, Response, job

from atomate2_vogen.jobs.identity import identified_flow


@job
def square(number):
    """The square; a negative number is an error."""
    if number < 0:
        raise ValueError(f"{number} is negative")
    return number**2


@job
def total(numbers):
    """Their sum, those that never came left out."""
    return sum(number for number in numbers if number is not None)


@job
def squares_up_to(number):
    """Replace itself by as many jobs as were asked for, and their sum."""
    made = [square(i) for i in range(1, number + 1)]
    last = total([one.output for one in made])
    last.config = JobConfig(on_missing_references=OnMissing.NONE)
    fan = Flow([*made, last], output=last.output)
    return Response(replace=identified_flow(fan, CURRENT_JOB.job.uuid))


@job
def square_later(number):
    """Replace itself by one job."""
    return Response(replace=square(number))


@job(data="text")
def blob(size):
    """A text of so many characters."""
    return {"text": "x" * size}


@job
def many_blobs(size, count):
    """Replace itself by jobs whose arguments are so large together that no document holds them."""
    made = [length("x" * size) for _ in range(count)]
    last = total([one.output for one in made])
    return Response(replace=Flow([*made, last], output=last.output))


@job
def length(text):
    """How long a text is."""
    return len(text)


@job
def keep_state(path):
    """Write the next state of a training into its file."""
    from atomate2_vogen.models.training.checkpoint import Checkpoint

    checkpoint = Checkpoint(path, {"a": 1})
    epoch = checkpoint.load().header["epoch"] + 1
    checkpoint.save({}, {"epoch": epoch})
    return {"epoch": epoch}
