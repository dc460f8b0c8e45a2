"""What an experiment is, as values: its stimuli, its trials, its analysis. Fields are flags."""

import dataclasses

from data_prep.humans.studies.settings import Stored, StudySettings
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
class Settings(Stored):
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


# --------------------------------------------------------------------------- afterwards


@dataclasses.dataclass(frozen=True)
class Exclusions:
    """Who and what is left out; never by the outcome of the groups' comparison. Flags."""

    keep_bad_timing: bool = command.flag(False, "analysis: trials whose timing was off, too")
    keep_interrupted: bool = command.flag(False, "analysis: trials before a reload, too")
    fastest_ms: float = command.flag(100.0, "analysis: faster answers are left out, ms")
    least_full: float = command.flag(0.5, "analysis: people must exceed this on full images")
    most_timeouts_sd: float = command.flag(
        3.0, "analysis: people with more time-outs than mean + so many SD are left out"
    )
    least_trials: float = command.flag(0.9, "analysis: people must have this share of their trials")


@dataclasses.dataclass(frozen=True)
class Choices:
    """How it is analysed. Fields are flags."""

    permutations: int = command.flag(10_000, "analysis: permutations of people's groups")
    resamples: int = command.flag(2_000, "analysis: bootstrap resamples of people")
    margin: float = command.flag(
        0.05, "analysis: accuracy within this of the full image's counts as its ceiling"
    )

    def __post_init__(self):
        if self.permutations < 100 or self.resamples < 100 or not 0 < self.margin < 0.5:
            raise ValueError("--permutations, --resamples: at least 100; --margin in 0...0.5.")


@dataclasses.dataclass(frozen=True)
class Planted:
    """What is simulated. Fields are flags."""

    observers: int = command.flag(120, "simulate: people, in both groups together")
    threshold_a: float = command.flag(25.0, "simulate: middle of group a's curve, per cent")
    threshold_b: float = command.flag(55.0, "simulate: middle of group b's curve, per cent")
    slope: float = command.flag(0.12, "simulate: spread of a person's curve, in log10")
    person_spread: float = command.flag(0.15, "simulate: SD of people's thresholds, in log10")
    image_spread: float = command.flag(0.15, "simulate: SD of images' thresholds, in log10")
    lapses: float = command.flag(0.03, "simulate: share of answers beside the point")
    key_bias: float = command.flag(0.05, "simulate: SD of people's liking for one key")
    rt_ms: float = command.flag(330.0, "simulate: mean of the Gaussian part of response times")
    rt_sd_ms: float = command.flag(40.0, "simulate: its SD")
    rt_tail_ms: float = command.flag(60.0, "simulate: mean of the exponential part")
    leave: float = command.flag(0.04, "simulate: share of the people who leave before the end")
    cheat: float = command.flag(0.02, "simulate: share who press one key")
    slow_screen: float = command.flag(0.02, "simulate: share whose screen drops frames")

    def __post_init__(self):
        for name in ("lapses", "leave", "cheat", "slow_screen"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"--{name} must be in 0...1, got {getattr(self, name)}.")
        if self.observers < 4 or min(self.threshold_a, self.threshold_b, self.slope) <= 0:
            raise ValueError("--observers must be at least 4; thresholds and slope positive.")


@dataclasses.dataclass(frozen=True)
class Page:
    """What the analysis reads and adds. Fields are flags."""

    trials: str = command.flag("", "analysis: trials.csv of an export, in place of --database")
    power_people: str = command.flag("", "analysis: numbers of people for a power table, by commas")
    power_experiments: int = command.flag(60, "analysis: simulated experiments a line of it")
