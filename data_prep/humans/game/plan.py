"""What a simulated study plants, and how a calibration is run: values that are flags."""

import dataclasses

from gala_tf import command


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is planted; shares of kinds add up to 1 with honest players. Fields are flags."""

    players: int = command.flag(30, "simulate: people")
    rounds: float = command.flag(20.0, "simulate: mean rounds of those who play more than one")
    one_round: float = command.flag(0.07, "simulate: share of the people who leave after one round")
    random: float = command.flag(0.1, "simulate: share of the people who paint anywhere")
    copying: float = command.flag(0.05, "simulate: share who send one path again and again")
    scripted: float = command.flag(0.05, "simulate: share who are scripts")
    recognised: float = command.flag(
        0.53, "simulate: share of honest rounds in which enough is painted (paper, Fig. 1)"
    )
    learning: float = command.flag(0.0, "simulate: how much that rises from first to last round")
    skipped: float = command.flag(0.05, "simulate: share of rounds skipped (paper)")
    hidden: float = command.flag(0.01, "simulate: share of rounds left")
    days: int = command.flag(235, "simulate: days of the study (paper)")
    batch: int = command.flag(10, "simulate: bubbles a message, at most 64; more is faster")
    seed: int = 0

    def __post_init__(self):
        shares = ("one_round", "random", "copying", "scripted", "recognised", "skipped", "hidden")
        for name in shares:
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"--{name} must be in 0...1, got {getattr(self, name)}.")
        if self.random + self.copying + self.scripted > 1:
            raise ValueError("--random, --copying and --scripted add up to more than 1.")
        if self.players < 1 or self.rounds < 1 or self.days < 1 or not 1 <= self.batch <= 64:
            raise ValueError("--players, --rounds and --days must be at least 1, --batch 1...64.")


@dataclasses.dataclass(frozen=True)
class Measuring:
    """How a study is measured. Fields are flags."""

    backgrounds: str = command.flag(
        "mean,legacy_noise,black,blur", "calibrate: backgrounds to try, by commas"
    )
    partner_bubble_sides: str = command.flag("21,15,11", "calibrate: sides to try, px, by commas")
    top_ks: str = command.flag("5,1", "calibrate: values of --top_k to try, by commas")
    minimum_probabilities: str = command.flag("0,0.5", "calibrate: probabilities to try, by commas")
    repeats: int = command.flag(1, "calibrate: simulated rounds a picture and kind of painter")
    most_pictures: int = command.flag(60, "calibrate: so many pictures, drawn by --seed")
    from_database: bool = command.flag(False, "calibrate: real rounds in place of simulated ones")
    keep_masks: bool = command.flag(
        False, "calibrate: its masks make the pictures those of catch rounds"
    )
    pictures: tuple[int, ...] = command.flag(
        (192, 60, 60), "images quickstart: so many of train, validation, test"
    )
    url: str = command.flag("", "simulate: play in real time against this server, http://HOST:PORT")
    round: str = command.flag("", "replay: the round's id; `replay ID` does as well")


def numbers(text: str, kind: type) -> tuple:
    """The numbers of "21,15", as `kind`; ValueError says which text is none."""
    try:
        return tuple(kind(word) for word in text.split(",") if word)
    except ValueError:
        raise ValueError(f"{text!r}: expected numbers, by commas.") from None
