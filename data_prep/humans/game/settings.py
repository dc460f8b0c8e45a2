"""What a game is, as a value: its study, its rules, and how it is run."""

import dataclasses

from data_prep.humans.game import allocation
from data_prep.humans.game.rules import Rules
from data_prep.humans.studies.settings import Stored, StudySettings
from gala_tf import command


@dataclasses.dataclass(frozen=True)
class GameSettings(Stored):
    """Everything about a game that its rules and its study do not say. Fields are flags."""

    study: StudySettings = StudySettings()
    rules: Rules = Rules()
    images: str = command.flag(
        "", "folder of pictures in class folders; the built-in ones if empty"
    )
    labels: str = command.flag(
        "", "CSV with the columns image,class for a folder without class folders"
    )
    partner: str = command.flag(
        "", "demo, onnx:FILE, savedmodel:DIR, serving:URL or reference[:SHARE]; demo if empty"
    )
    allocation: str = command.flag("coverage", "coverage, target:N, random or list:FILE")
    catch_masks: str = command.flag(
        "", "folder of masks, .png or .npy, with the pictures' names: pictures of catch rounds"
    )
    catch_every: int = command.flag(
        20, "one round in so many is on a picture with a reference mask"
    )
    skip_quorum: int = command.flag(3, "so many people who skip for one reason retire a picture")
    lease_ms: int = command.flag(
        120_000, "how long a picture may be looked at before the first click"
    )
    partner_patience_ms: int = command.flag(1500, "slower answers than this halve the questions")
    unranked_flags: str = command.flag(
        "clock,too_many,step,copied,script", "rounds with any of these are not on the leaderboard"
    )
    calibration: str = command.flag(
        "", "folder of a calibration for these pictures, partner and rules"
    )
    accept_uncalibrated: bool = command.flag(False, "serve a public address without a calibration")
    rounds_per_s: float = command.flag(2.0, "rounds a second that one session may ask for")
    messages_per_s: float = command.flag(8.0, "messages a second that one round may send")
    keep_raw: bool = command.flag(False, "store pointer events, too")
    demo: bool = False  # built-in pictures: said on every page and in every export

    def __post_init__(self):
        allocation.parse(self.allocation)
        for name, least in (
            ("catch_every", 1),
            ("skip_quorum", 1),
            ("lease_ms", 1),
            ("rounds_per_s", 0.2),
            ("messages_per_s", 0.4),
        ):
            if not getattr(self, name) >= least:
                raise ValueError(f"--{name} must be at least {least}, got {getattr(self, name)}.")
