"""People in the loop: the ClickMe game, and what any study of people needs.

studies/        participants, consent, sessions, withdrawal, database, serving, backup
demo/           the built-in pictures and the partner that come with installed packages
game/           ClickMe itself: rounds, partners, contests, exports, pages
psychophysics/  the rapid-categorisation experiment: stimuli, trials, analysis

Nothing else imports this room. It sees no network code of gala_tf, and only one kind of partner
imports TensorFlow.
"""
