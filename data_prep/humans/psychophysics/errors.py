"""What can go wrong in the experiment, each with its remedy and its status (studies/errors.py)."""

from data_prep.humans.studies.errors import StudyError


class NotSuited(StudyError):
    """This experiment cannot run here. The page says what is missing."""

    status = 403


class TookPart(StudyError):
    """You have taken part in this experiment or one like it, and nobody may twice. Thank you!"""

    status = 403


class BegunElsewhere(StudyError):
    """You began in another browser or on another device. Please go on there."""

    status = 409


class ListOver(StudyError):
    """Your session is over, since you were away too long. Thank you for what you did."""

    status = 410


class NoList(StudyError):
    """You have no such session. Open the first page again."""

    status = 404


class TrialsMissing(StudyError):
    """Some of your answers have not arrived. The page sends them again by itself."""

    status = 409


class WrongStimulus(StudyError):
    """The picture shown is not the one of your list. Tell whoever runs the study, please."""

    status = 422


class NotTrained(StudyError):
    """The training is not finished. Reload the page to go on with it."""

    status = 409


class StimulusChanged(StudyError):
    """A picture of this experiment is damaged on our side. Tell whoever runs the study, please."""

    status = 503
