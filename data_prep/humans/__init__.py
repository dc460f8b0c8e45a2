"""What people do: they paint the maps (`game`), and show whether the maps matter (`psychophysics`).

    studies/   participants, consent, sessions, database, serving: shared by both
    demo/      photographs and a network that installed packages carry, for trying either at once
    game/      the ClickMe game

Nothing here imports TensorFlow, but for the one partner that is a SavedModel; nothing outside
imports this folder, and it sees no network code of `gala_tf`.
"""
