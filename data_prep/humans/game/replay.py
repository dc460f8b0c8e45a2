"""Asks the stored questions of a round again: bubbles, rules and partner must give what is stored.

Bubbles are the first `upto` of the round, the view is composed by the rules, the noise's seed comes
from the round's own id; so nothing but the database, the picture and the partner is needed.
"""

import dataclasses
import json
from collections.abc import Callable

import numpy as np
import sqlalchemy as sa

from data_prep.humans.game import bubbles
from data_prep.humans.game.partners import Partner
from data_prep.humans.game.questions import noise_seed
from data_prep.humans.game.rules import Rules, view_mask
from data_prep.humans.game.tables import images, queries, rounds

# Sums depend on the batch and the machine in their last bits; stored ones have six decimals.
TOLERANCE = 1e-4


@dataclasses.dataclass(frozen=True)
class Replayed:
    """One question asked again.

    Attributes:
        stored, again: (rank of the target, [[class, probability] ...]).
    """

    upto: int
    stored: tuple[int, list]
    again: tuple[int, list]

    @property
    def agrees(self) -> bool:
        """Same rank, same classes with the same probabilities within `TOLERANCE`."""
        (rank, best), (rank_again, best_again) = self.stored, self.again
        probabilities = dict(map(tuple, best_again))
        return rank == rank_again and all(
            abs(probabilities.get(index, -1.0) - probability) <= TOLERANCE
            for index, probability in best
        )


def replay(
    connection: sa.Connection,
    round_id: str,
    partner: Partner,
    rules: Rules,
    pixels_of: Callable[[str], np.ndarray],
) -> list[Replayed]:
    """All questions of a round, oldest first.

    Args:
      pixels_of: path of a picture -> uint8 [256, 256, 3].

    Raises:
      ValueError: no such round, or it was played with other rules or another partner.
    """
    row = connection.execute(rounds.select().where(rounds.c.id == round_id)).one_or_none()
    if row is None:
        raise ValueError(f"There is no round {round_id!r}.")
    for what, stored, given in (
        ("rules", row.rules_hash, rules.hash()),
        ("partner", row.partner_hash, partner.describe()["sha256"]),
    ):
        if stored != given:
            raise ValueError(
                f"Round {round_id} was played with the {what} {stored[:12]}, not {given[:12]}: "
                "give the study's own flags."
            )
    picture = connection.execute(images.select().where(images.c.id == row.image_id)).one()
    stored = connection.execute(
        queries.select().where(queries.c.round_id == round_id).order_by(queries.c.upto)
    ).all()
    path = bubbles.path_of(connection, round_id)
    pixels = pixels_of(picture.path)
    return [_again(one, path, pixels, picture.class_index, partner, rules) for one in stored]


def _again(stored, path, pixels, target, partner, rules):
    mask = view_mask(path[: stored.upto], rules.partner_bubble_side)
    answer = partner.answer(
        pixels[None], mask[None], np.array([target]), np.array([noise_seed(stored.round_id)])
    )
    best = [
        [int(index), float(probability)]
        for index, probability in zip(answer.top5_class[0], answer.top5_probability[0], strict=True)
        if index >= 0
    ]
    return Replayed(
        stored.upto, (stored.rank, json.loads(stored.best)), (int(answer.rank[0]), best)
    )
