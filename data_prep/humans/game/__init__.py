"""The ClickMe game: a person paints the parts of a picture, a network looks through the bubbles.

rules.py         pure: brush, what the partner sees, points, success
tables.py        pictures, rounds, bubbles, questions, contests
rounds.py        the life of a round: one table of moves, one function that makes them
bubbles.py       what the browser sent, kept in order, and what it says about the play
allocation.py    who gets which picture next
questions.py     from a path to a stored answer: asks the partner without blocking anybody
images.py        folders of pictures -> rows; frames.py a picture -> 256x256 pixels
partners/        who looks: a file, a service, or a rule for tests
offering.py      a round from offer to end, a file each: offering, painting.py, answers.py (the
                 partner's), ending.py
service.py       what the routes call about rounds, people.py about people
api.py           the routes; app.py the wiring
contests.py      spans of time and their order of players
painters.py      simulated painters; calibrate.py how hard a game is for them
simulate.py      whole simulated players, through the real interface
quality.py       how honest play looks; statistics.py ours beside the paper's; replay.py asks again
admin.py         a live page for whoever runs it, on a port of its own
exports/         everything out again, as the other commands read it
pages/           the pages, as plain ES modules
settings.py      what a game is, as a value; serving.py starts it; messages.py what is said to it
errors.py        what can go wrong, each with its remedy; invariants.py what must always hold
about_people.py  what the game knows of a person, for `GET /api/me` and for withdrawal
masks.py         what matters in a picture, for catch rounds
played.py        rounds as plain rows, for whatever counts them
beside_paper.py  a study's numbers beside the paper's; statistics_page.py their page
plan.py          what a simulated study plants; players.py who plays it
measuring.py     the subcommands that measure a study; commands.py the others
calibration_report.py  a calibration as a table, a flagfile, a JSON file
"""
