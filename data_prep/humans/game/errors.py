"""What can go wrong in a game, each with its remedy and its HTTP status (see studies/errors.py)."""

from data_prep.humans.studies.errors import StudyError


class RoundUnknown(StudyError):
    """There is no such round of yours. Ask for the next picture."""

    status = 404


class PictureBroken(StudyError):
    """This picture cannot be shown, which was noted. Try again, and another one comes."""

    status = 404


class PicturesAway(StudyError):
    """The pictures cannot be reached just now. Try again in a minute; nothing is lost."""

    status = 503


class RoundTaken(StudyError):
    """You are playing in another tab. Go back to it, or play here instead."""

    status = 409


class BubblesMissing(StudyError):
    """Some of what you painted has not arrived. The page sends it again by itself."""

    status = 409


class NotStarted(StudyError):
    """This round has not been started. The page starts it by itself."""

    status = 409


class RoundOver(StudyError):
    """This round ended too long ago to take more. Ask for the next picture."""

    status = 410


class AllPlayed(StudyError):
    """You have played all the pictures there are. Thank you! Come back when there are more."""

    status = 410


class Paused(StudyError):
    """The game is paused. Come back a little later; what you painted is stored."""

    status = 503


class PartnerAway(StudyError):
    """Your partner is away, so no round can begin. Try again in a minute; nothing is lost."""

    status = 503
