"""A game in memory: a few painted pictures, a clock that tests advance, people by name."""

import functools
import shutil
from pathlib import Path

import numpy as np
from fastapi.testclient import TestClient
from PIL import Image, ImageDraw
from study_world import clock, empty_database, one_file, shared_folder, tokens, without_fsync

from data_prep.humans.game import images
from data_prep.humans.game.app import make_app
from data_prep.humans.game.partners import load
from data_prep.humans.game.partners.classes import Classes
from data_prep.humans.game.rules import Rules
from data_prep.humans.game.settings import GameSettings
from data_prep.humans.studies.database import Database, open_database
from data_prep.humans.studies.security import Security
from data_prep.humans.studies.settings import StudySettings

CLASSES = ("circle", "square", "star")
# More classes than ranks that count, so that a partner can be wrong.
NAMES = CLASSES + tuple(f"class {number}" for number in range(9))
KNOWN = Classes(("",) * len(NAMES), NAMES)
TAB = "tab-of-alice"


@functools.cache
def shared_pictures(each: int) -> Path:
    """Drawn once; tests that change pictures draw their own."""
    return draw_pictures(shared_folder() / f"pictures {each}", each)


@functools.cache
def database_with_pictures(each: int) -> str:
    """`empty_database` with `shared_pictures` in it, whose classes are met."""
    path = shared_folder() / f"pictures {each}.db"
    shutil.copy(empty_database(), path)
    database = Database(str(path))
    put_pictures(database, each)
    one_file(database)
    return str(path)


def put_pictures(database: Database, each: int) -> None:
    """Adds pictures as the command does it."""
    found = images.in_folder(str(shared_pictures(each)))
    images.add(database, found, "test", 0, tokens("picture"))
    images.meet(database, KNOWN)


def draw_pictures(folder: Path, each: int = 2, size=(320, 256)) -> Path:
    """`<class>/<picture>.png`, each of one figure in the middle."""
    chance = np.random.default_rng(0)
    for name in CLASSES:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(each):
            colours = [tuple(chance.integers(0, 255, 3).tolist()) for _ in range(2)]
            image = Image.new("RGB", size, colours[0])
            box = [size[0] / 2 - 60, size[1] / 2 - 60, size[0] / 2 + 60, size[1] / 2 + 60]
            pen = ImageDraw.Draw(image)
            (pen.rectangle if name == "square" else pen.ellipse)(box, fill=colours[1])
            image.save(folder / name / f"{name}_{number}.png")
    return folder


class World:
    """An application and its people."""

    def __init__(
        self,
        folder: Path,
        rules: Rules | None = None,
        each: int = 2,
        database: str = "",
        **options,
    ):
        self.folder, self.clock, self.new_token = folder, clock(), tokens()
        study = options.pop("study", StudySettings(sessions_per_hour=1000))
        self.settings = GameSettings(study=study, rules=rules or Rules(), **options)
        self.pictures = shared_pictures(each)
        if database:
            self.database = open_database(database)
            put_pictures(self.database, each)
        else:
            path = shutil.copy(database_with_pictures(each), folder / "game.db")
            self.database = without_fsync(Database(str(path)))
        self.partner = load("reference", self.settings.rules, classes=KNOWN)
        self.app = make_app(self.settings, self.database, self.partner, self.clock, self.new_token)

    @property
    def service(self):
        return self.app.state.service

    def __enter__(self):
        self._entered = TestClient(self.app)
        self._entered.__enter__()
        return self

    def __exit__(self, *error):
        self._entered.__exit__(*error)
        self.database.close()

    def person(self, agreed: bool = True, **recruitment) -> "Person":
        """Somebody with a browser of their own."""
        return Person(self, agreed, recruitment)


class Person:
    """What a browser does, one message a method; answers are checked by who calls."""

    def __init__(self, world: World, agreed: bool, recruitment: dict):
        self.world = world
        self.http = TestClient(Security(world.app), base_url="http://testserver")
        # One loop for all people: the application's own.
        self.http.portal = world._entered.portal
        self.session = self.post("/api/session", {"recruitment": recruitment}).json()
        if agreed:
            self.consent(self.session["consent_version"])

    def post(self, address: str, body: dict, **options):
        return self.http.post(address, json=body, **options)

    def consent(self, version: int, accepted: bool = True):
        return self.post("/api/consent", {"version": version, "accepted": accepted})

    def ask(self, tab: str = TAB, **options):
        return self.post("/api/rounds", {"tab": tab, **options})

    def round(self) -> str:
        """Asks for a round and starts it."""
        found = self.ask().json()["round"]
        self.start(found)
        return found

    def start(self, round_id: str, **options):
        return self.post(f"/api/rounds/{round_id}/start", options)

    def bubbles(self, round_id: str, points: list, first: int = 0, seq: int = 0):
        body = {"seq": seq, "first": first, "points": points}
        return self.post(f"/api/rounds/{round_id}/bubbles", body)

    def end(self, round_id: str, reason: str = "timeout", **options):
        return self.post(f"/api/rounds/{round_id}/end", {"reason": reason, **options})


def line(count: int, start=(128.0, 20.0), step=7.0, t0=0.0, tick=50.0) -> list:
    """Bubbles straight down, one a tick."""
    return [[start[0], start[1] + step * n, t0 + tick * n] for n in range(count)]


def winning(count: int = 60) -> list:
    """Bubbles to and fro over the middle, where the reference partner looks."""
    path, x, y, right = [], 80.0, 100.0, 1
    for n in range(count):
        path.append([x, y, 50.0 * n])
        if not 80 <= x + 7 * right <= 176:
            right, y = -right, y + 7
        else:
            x += 7 * right
    return path
