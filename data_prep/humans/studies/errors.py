"""What can go wrong for a person at a page, each with its remedy and its HTTP status.

The docstring of a class is its message, up to the first full stop, and its remedy, after it. Every
error reaches the browser as {"error": ..., "remedy": ...}; all else is a 500 whose text stays in
the log, because an exception's text may hold paths, statements or other people's data.
"""

from typing import Any


class StudyError(Exception):
    """Something went wrong. Try again."""

    status = 400

    def __init__(self, **facts: Any):
        super().__init__(type(self).__doc__)
        self.facts = facts  # further keys of the answer, for the page's code

    def body(self) -> dict[str, Any]:
        """What the browser is told."""
        error, _, remedy = " ".join((type(self).__doc__ or "").split()).partition(". ")
        return {"error": error.rstrip(".") + ".", "remedy": remedy, **self.facts}


class NoSession(StudyError):
    """This page does not know who you are. Open the first page again; it takes one click."""

    status = 401


class NoConsent(StudyError):
    """The consent text has not been accepted, or has changed since. Read it on the first page."""

    status = 403


class OtherDevice(StudyError):
    """These data can be seen and deleted only where you began. Open this page on the device you
    first came with, or write to the people who run the study."""

    status = 403


class ConsentChanged(StudyError):
    """The consent text has changed since it was shown. Load the page again and read the new one."""

    status = 409


class Forbidden(StudyError):
    """The request came from another site. Open the study's own address and try there."""

    status = 403


class NotFound(StudyError):
    """There is nothing at this address. Go back to the first page."""

    status = 404


class TooLarge(StudyError):
    """The message is larger than 64 kB. Send less at once."""

    status = 413


class HeadTooLarge(StudyError):
    """The headers of the request exceed 32 kB. Delete this site's cookies and try again."""

    status = 431


class Malformed(StudyError):
    """The message is not what this address expects. Reload the page, which may be an old one."""

    status = 422


class TooMany(StudyError):
    """Too many requests in a short time. Wait a moment; nothing is lost."""

    status = 429


class Unavailable(StudyError):
    """The study is not ready at the moment. Wait a little and try again; nothing is lost."""

    status = 503
