"""What an experiment is, as values: its stimuli, its trials, its analysis. Fields are flags."""

import dataclasses
import json

from data_prep.humans.studies.settings import StudySettings
from gala_tf import command


@dataclasses.dataclass(frozen=True)
class Input:
    """Where images and maps are. Fields are flags."""

    images: str = command.flag("", "stimuli: folder of images", path=True)
    image_list: str = command.flag(
        "", "stimuli: CSV image,label,side[,role,map_a,map_b]; default IMAGES/images.csv", path=True
    )
    maps_a: str = command.flag("", "stimuli: maps of group a, NAME:PLACE, as clickme:SHARDS")
    maps_b: str = command.flag("", "stimuli: maps of group b, NAME:PLACE, as salicon:DIR")
    click_frame: str = command.flag(
        "native", "stimuli: what clicks count pixels of, image or 256 square", ("native", "256")
    )
    images_per_class: int = command.flag(10, "stimuli: images of each label; 0: any number")
    output_dir: str = command.flag("", "folder to write", path=True)


@dataclasses.dataclass(frozen=True)
class Making:
    """How stimuli are made. Fields are flags."""

    blur: str = command.flag("box:49", "stimuli: blur of count maps, box:K of odd K, or none")
    support: str = command.flag(
        "min",
        "stimuli: pixels at 100 %: min, the smaller of both maps' supports, or fixed:0.15, a share "
        "of the image",
    )
    alpha: float = command.flag(0.5, "stimuli: weight of the distance from the first pixel, 0...1")
    tau: float = command.flag(0.02, "stimuli: size of the noise that makes the fill stochastic")
    color: str = command.flag("rgb", "stimuli: colours", ("rgb", "gray"))
    min_capture: float = command.flag(
        0.9, "stimuli: refuse a fill that holds less of the importance that as many pixels can"
    )

    def __post_init__(self):
        if not 0 <= self.alpha <= 1 or self.tau < 0:
            raise ValueError(
                f"--alpha must be in 0...1 and --tau not negative, got {self.alpha}, {self.tau}."
            )
        kind, _, share = self.support.partition(":")
        if self.support != "min" and not (kind == "fixed" and _is_share(share)):
            raise ValueError(f"--support={self.support!r}: expected min, or fixed:0.15.")
        side = self.blur.removeprefix("box:")
        if self.blur != "none" and not (side.isdigit() and int(side) % 2 and side != self.blur):
            raise ValueError(f"--blur={self.blur!r}: expected box:K of odd K, or none.")


def _is_share(text):
    try:
        return 0 < float(text) <= 1
    except ValueError:
        return False


@dataclasses.dataclass(frozen=True)
class Trials:
    """What people do. Defaults are the paper's where it says."""

    fixation_ms: tuple[int, ...] = command.flag(
        (1100, 1600), "fixation cross, shortest and longest, uniform"
    )
    stimulus_ms: int = command.flag(400, "how long the stimulus is shown")
    blank_ms: int = command.flag(150, "time to respond after the stimulus")
    blocks: int = command.flag(5, "blocks, accuracy after each")
    training_passes: int = command.flag(
        6, "so many of the last 8 training trials in time and right"
    )
    training_most: int = command.flag(24, "training trials at most")
    key_ends_trial: bool = command.flag(False, "a key ends the stimulus (original site)")
    photodiode: bool = command.flag(False, "a square in a corner, white during the stimulus")
    degrees: float = command.flag(
        0.0, "visual angle of the stimulus if people calibrate their screen; 0: whole pixels"
    )
    resume_minutes: int = command.flag(20, "after so long an absence keys and training come again")
    abandon_hours: int = command.flag(3, "after so long an absence the list is given up")
    lost_most: int = command.flag(16, "so many trials may be lost to reloads")
    target_name: str = command.flag("an animal", "what targets are, in words for people")
    distractor_name: str = command.flag("no animal", "what distractors are")
    exclusion_pool: str = command.flag(
        "", "nobody takes part twice in studies that share this name; the study's own if empty"
    )

    def __post_init__(self):
        if len(self.fixation_ms) != 2 or not 0 < self.fixation_ms[0] <= self.fixation_ms[1]:
            raise ValueError(
                f"--fixation_ms={self.fixation_ms}: expected the shortest and the longest, in ms."
            )
        for name in ("stimulus_ms", "blocks", "training_most", "abandon_hours"):
            if getattr(self, name) < 1:
                raise ValueError(f"--{name} must be at least 1, got {getattr(self, name)}.")
        if not 0 <= self.training_passes <= 8 or self.blank_ms < 0 or self.degrees < 0:
            raise ValueError("--training_passes is of 8; --blank_ms, --degrees are not negative.")


@dataclasses.dataclass(frozen=True)
class Settings:
    """A study with its trials and its stimuli."""

    study: StudySettings = StudySettings(study="psychophysics", database="psychophysics.db")
    trials: Trials = Trials()
    stimuli: str = command.flag("", "folder of stimuli to show", path=True)
    allow_simulation: bool = command.flag(
        False, "pages take ?simulate=visual or data-only: jsPsych answers in place of people"
    )
    demo: bool = command.flag(False, "16 trials on built-in photographs; what a start without does")
    stand_in: str = ""  # what the maps are, if they are not of people: said on every page

    @property
    def pool(self) -> str:
        """Whose people may not take part again."""
        return self.trials.exclusion_pool or self.study.study

    def as_json(self) -> str:
        """All of it, as further workers read it."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "Settings":
        """What `as_json` wrote."""
        values = json.loads(text)
        study, trials = StudySettings(**values.pop("study")), values.pop("trials")
        trials["fixation_ms"] = tuple(trials["fixation_ms"])
        return cls(study=study, trials=Trials(**trials), **values)
