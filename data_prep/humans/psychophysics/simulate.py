"""A whole study of simulated observers through the real interface, in simulated time."""

import dataclasses
import json
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import sqlalchemy as sa

from data_prep.humans.psychophysics import observers
from data_prep.humans.psychophysics.app import make_app
from data_prep.humans.psychophysics.lists import KEYS
from data_prep.humans.psychophysics.observers import Person
from data_prep.humans.psychophysics.settings import Planted, Settings
from data_prep.humans.psychophysics.tables import SIMULATED, lists, stimuli, stimulus_sets
from data_prep.humans.studies import serving
from data_prep.humans.studies.browser import Browser
from data_prep.humans.studies.clocks import MovedClock, now_ms
from data_prep.humans.studies.database import Database
from data_prep.humans.studies.sessions import new_token

PERIOD_MS = 1000 / 60
BETWEEN_PEOPLE_MS = 20 * 60_000
BETWEEN_TRIALS_MS = 2_500
AT_ONCE = 8  # trials a message


def simulate(
    planted: Planted,
    settings: Settings,
    database: Database,
    progress: Callable[[Iterable], Iterator] = iter,
) -> dict[str, int]:
    """Lets everybody take part, one after the other; how many finished, and how many left."""
    settings = dataclasses.replace(settings, study=settings.study.for_simulation())
    clock = MovedClock(now_ms())
    app = make_app(settings, database, clock, new_token)
    images = _ImageEffects(planted, settings.study.seed)
    ends = {"finished": 0, "left": 0}
    with serving.on_a_thread(app, settings.study) as (host, port):
        for number in progress(range(planted.observers)):
            chance = np.random.default_rng([settings.study.seed, 2, number])
            person, browser = observers.draw_person(planted, chance), Browser(host, port)
            visit = _Visit(planted, settings, database, person, browser, chance, clock, images)
            ends["finished" if visit.take_part(f"observer-{number}") else "left"] += 1
            browser.close()
            clock.advance(BETWEEN_PEOPLE_MS)
    return ends


class _ImageEffects:
    """What each image and source add to log10 of the threshold."""

    def __init__(self, planted, seed):
        self._spread, self._seed, self._known = planted.image_spread, seed, {}

    def of(self, source, image):
        key = (source, image)
        if key not in self._known:
            chance = np.random.default_rng([self._seed, *f"{source}/{image}".encode()])
            self._known[key] = chance.normal(0, self._spread)
        return self._known[key]


class _Visit:
    def __init__(self, planted, settings, database, person: Person, browser, chance, clock, images):
        self._planted, self._settings, self._database = planted, settings, database
        self._person, self._browser, self._chance = person, browser, chance
        self._clock, self._images = clock, images

    def take_part(self, name: str) -> bool:
        """Whether the person stayed to the end."""

        def post(address, body):
            return self._browser.post(f"/api/{address}", body)

        given = post("session", {"recruitment": {"pid": name}})
        post("consent", {"version": given["consent_version"], "accepted": True})
        values = {"desktop": True, "canvas": True, "storage": True, "comprehension": True}
        values |= {"width": 1440, "height": 900, "device_pixel_ratio": 1.0}
        post("gates", values | {"period_ms": PERIOD_MS, "period_p95_ms": PERIOD_MS})
        self._given = given = post("list", {"device": f"{SIMULATED}{name}"})
        self._look_up()
        for index, item in enumerate(given["training"]):
            if given["trained"]:
                break
            said = self._answer(item)
            body = {"list": given["list"], "index": index, "response": said.response}
            given["trained"] = post("training", body | {"rt_ms": said.rt_ms})["done"]
        stays = round(self._person.leaves_at * len(given["trials"]))
        for first in range(0, stays, AT_ONCE):
            sent = [
                self._trial(item) for item in given["trials"][first : min(first + AT_ONCE, stays)]
            ]
            post("trials", {"list": given["list"], "trials": sent})
            self._clock.advance(BETWEEN_TRIALS_MS * len(sent))
        if stays < len(given["trials"]):
            return False
        return post("finish", {"list": given["list"]})["complete"]

    def _look_up(self):
        """What the browser is not told, and eyes would see: read from the database."""
        with self._database.read() as connection:
            query = lists.select().where(lists.c.id == self._given["list"])
            row = connection.execute(query).one()
            query = stimuli.select().where(
                stimuli.c.study == row.study, stimuli.c.source == row.group
            )
            self._shown = {one.id: one for one in connection.execute(query)}
            of_study = stimulus_sets.c.study == row.study
            about = connection.execute(sa.select(stimulus_sets.c.settings).where(of_study)).scalar()
        groups = json.loads(about)["sources"]  # a, b: in the order of the study
        in_b = row.group == groups[1]
        self._threshold = self._planted.threshold_b if in_b else self._planted.threshold_a

    def _answer(self, item):
        shown = self._shown[item["url"].rpartition("/")[2]]
        target = self._given["target_key"]
        key = target if shown.side == "target" else KEYS[1 - KEYS.index(target)]
        effect = self._images.of(shown.source, shown.image)
        known = observers.knows(self._planted, self._person, self._threshold, effect, shown.level)
        rules = self._given["rules"]
        limit = rules["stimulus_ms"] + rules["blank_ms"]
        return observers.answer(self._planted, self._person, known, key, limit, self._chance)

    def _trial(self, item):
        said, rules = self._answer(item), self._given["rules"]
        late = self._person.slow_screen and self._chance.random() < 0.7
        return {
            "index": item["index"],
            "response": said.response,
            "rt_ms": said.rt_ms if said.response else None,
            "late_key_ms": None if said.response else said.rt_ms,
            "fixation_ms": float(item["fixation_ms"]),
            "stimulus_ms": rules["stimulus_ms"] + (3 * PERIOD_MS if late else 0.0),
            "blank_ms": float(rules["blank_ms"]),
            "frames": 110,
            "dropped": 3 if late else 0,
            "longest_gap_ms": PERIOD_MS * (4 if late else 1),
            "period_ms": PERIOD_MS,
            "onset_ms": float(item["index"]) * BETWEEN_TRIALS_MS,
            "time_elapsed_ms": float(item["index"] + 1) * BETWEEN_TRIALS_MS,
            "sha256": item["sha256"],
        }
